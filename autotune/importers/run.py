"""``autotune import``: find the format, read it, set bad rows aside."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autotune.catalog.gpus import GPU_SHEET, find_gpu, recorded_sheet
from autotune.catalog.models import find_model
from autotune.errors import AutotuneError, InvalidConfigError, UsageError, did_you_mean
from autotune.importers.base import UNREADABLE, ImportOptions, ImportResult, Place
from autotune.importers.formats import FOLDER_FORMATS, FORMATS, detect, recognised_files
from autotune.importers.plausibility import screen
from autotune.importers.readers.published.aiconfigurator import installed_table
from autotune.importers.summary import ImportedFile, ImportSummary
from autotune.schema.record import RunRecord
from autotune.views.display import counting

__all__ = [
    "FORMATS",
    "ImportOptions",
    "ImportSummary",
    "ImportedFile",
    "detect",
    "import_files",
    "read_file",
]


# Formats of rows whose batch size may be a cap, and whose latencies may be medians.
_LOOSE = frozenset({"runs", "published"})


def read_file(
    path: Path, *, format_name: str = "auto", options: ImportOptions | None = None
) -> ImportedFile:
    """Read one file, or a folder of them; nothing is written, and the rows' sense is not checked.

    Raises:
        UsageError: When it does not exist, is empty or is of no known format.
    """
    if not path.exists():
        raise InvalidConfigError(f"{path} is not a file or folder")
    if path.is_file() and path.stat().st_size == 0:
        raise InvalidConfigError(f"{path} is empty: nothing to import")
    chosen = detect(path) if format_name == "auto" else format_name
    result = _read(path, chosen, options or ImportOptions())
    return ImportedFile(
        path=path,
        format=chosen,
        records=result.records,
        rejected=result.rejected,
        places=result.places,
    )


def _read(path: Path, format_name: str, options: ImportOptions) -> ImportResult:
    """Read a file, or a folder: as one where the format has folders, else its files one by one."""
    if path.is_file() or format_name in FOLDER_FORMATS:
        return _read_as(format_name, path, options)
    whole = ImportResult()
    for file in recognised_files(path, format_name):
        part = _read_as(format_name, file, options)
        rows = [Place(file=file, line=row) for row in range(1, len(part.records) + 1)]
        whole.records.extend(part.records)
        whole.places.extend(part.places or rows)
        whole.rejected.extend(replace(r, file=r.file or file) for r in part.rejected)
    return whole


def _read_as(format_name: str, path: Path, options: ImportOptions) -> ImportResult:
    try:
        return FORMATS[format_name](path, options)
    except AutotuneError:
        raise
    except UNREADABLE as error:
        raise InvalidConfigError(f"cannot read {path} as {format_name}: {error}") from error


def screened(file: ImportedFile) -> ImportedFile:
    """Return the file with the rows that fail a check (see ``plausible``) among the rejected."""
    read = ImportResult(records=file.records, rejected=file.rejected, places=file.places)
    result = screen(read, file.path, may_be_cap=file.format in _LOOSE)
    return replace(file, records=result.records, rejected=result.rejected, places=result.places)


def set_rejected_aside(file: ImportedFile, beside: Path | None = None) -> Path | None:
    """Write the refused rows to ``<file>.rejected.jsonl`` with line and reason; return its path."""
    if not file.rejected:
        return None
    near = beside or file.path
    path = near.with_name(near.name + ".rejected.jsonl")
    lines = (
        json.dumps(
            {"file": str(r.file or file.path), "line": r.line, "reason": r.reason}
            | {"row": dict(r.row)}
        )
        + "\n"
        for r in file.rejected
    )
    path.write_text("".join(lines), encoding="utf-8")
    return path


def locate(asked: Path, *, download: bool) -> Path:
    """Return the file or folder that the user means: a path, or the name of a public source.

    Raises:
        UsageError: When a source is neither installed nor here, or cannot be fetched.
    """
    if download:
        from autotune.importers.download import fetch

        return fetch(str(asked))
    if not asked.exists() and str(asked) == "aiconfigurator":
        return installed_table()
    if not asked.exists() and str(asked) in FORMATS:
        raise InvalidConfigError(
            f"{asked} is not a file or folder; `autotune import {asked} --download` fetches the "
            "source of that name, if it lies in public"
        )
    return asked


def import_files(
    paths: Sequence[Path],
    tracking_uri: str,
    *,
    format_name: str = "auto",
    options: ImportOptions | None = None,
    download: bool = False,
) -> ImportSummary:
    """Read all files, then log their good rows; nothing is logged if one cannot be read.

    Raises:
        UsageError: For an unknown format, or a file that cannot be read or holds no good row.
    """
    if format_name not in ("auto", *FORMATS):
        hint = did_you_mean(format_name, FORMATS)
        raise UsageError(
            f"unknown format {format_name!r}; known: auto, {', '.join(FORMATS)}.{hint}"
        )
    chosen = _resolved(options or ImportOptions())
    found = [(asked, locate(asked, download=download)) for asked in paths]
    files = tuple(
        screened(read_file(path, format_name=format_name, options=chosen)) for _, path in found
    )
    # What the user did not name by its path is not written beside, but here.
    beside = [path if path == asked else Path(asked.name) for asked, path in found]
    rejected_paths = tuple(
        p for file, near in zip(files, beside, strict=True) if (p := set_rejected_aside(file, near))
    )
    for file in files:
        if not file.records:
            first = f" (line {file.rejected[0].line}: {file.rejected[0].reason})" * bool(
                file.rejected
            )
            raise UsageError(f"{file.path} holds no good row{first}")
    from autotune.store.tracking.store import Store

    store = Store(tracking_uri)
    records = [_with_sheet(record) for file in files for record in file.records]
    with counting("logging runs", len(records)) as advance:
        n_logged = store.log(records, on_logged=lambda _: advance())
    if n_logged:
        store.finish_imported(records)
    return ImportSummary(files=files, n_logged=n_logged, rejected_paths=rejected_paths)


def _with_sheet(record: RunRecord) -> RunRecord:
    """Return a run with the sheet of a GPU that others cannot look up."""
    sheet = None if GPU_SHEET in record.environment else recorded_sheet(record.gpu)
    if sheet is None:
        return record
    return replace(record, environment={**record.environment, GPU_SHEET: sheet})


def _resolved(options: ImportOptions) -> ImportOptions:
    """Return the options with the catalogue's names."""
    gpu = None if options.gpu is None else find_gpu(options.gpu).name
    model = None if options.model is None else find_model(options.model).name
    return replace(options, gpu=gpu, model=model)
