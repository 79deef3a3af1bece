"""The formats that ``autotune import`` knows, and how each is recognised by its content."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from autotune.errors import InvalidConfigError, UsageError
from autotune.importers.base import Head, ImportOptions, ImportResult, Signature, read_head
from autotune.importers.readers.clients import aiperf, guidellm
from autotune.importers.readers.engines import optimum_benchmark, trtllm, vllm_bench
from autotune.importers.readers.published import (
    aiconfigurator,
    infpop,
    llm_inference_bench,
    llm_pilot,
    ml_energy,
    published,
    runs,
)


class Reader(Protocol):
    """Reads a file (or folder) of one format, with what the user adds to it."""

    def __call__(self, path: Path, options: ImportOptions | None = None, /) -> ImportResult:
        """Return its rows; raise UsageError when it is not of the format at all."""
        ...


def _self_contained(read: Callable[[Path], ImportResult]) -> Reader:
    """Return a reader that refuses options: its rows say everything themselves."""

    def reader(path: Path, options: ImportOptions | None = None) -> ImportResult:
        if given := (options or ImportOptions()).given():
            raise InvalidConfigError(
                f"{path}: every row of this format says its own values; "
                f"leave {', '.join(given)} out"
            )
        return read(path)

    return reader


FORMATS: Final[Mapping[str, Reader]] = {
    "runs": _self_contained(runs.read),
    "published": _self_contained(published.read),
    "infpop": _self_contained(infpop.read),
    "llm-inference-bench": _self_contained(llm_inference_bench.read),
    "llm-pilot": _self_contained(llm_pilot.read),
    "ml-energy": _self_contained(ml_energy.read),
    "aiconfigurator": _self_contained(aiconfigurator.read),
    "trtllm": trtllm.read,
    "vllm-bench": vllm_bench.read,
    "guidellm": guidellm.read,
    "aiperf": aiperf.read,
    "optimum-benchmark": optimum_benchmark.read,
}
# Formats whose readers take a whole folder; of the others each file is read by itself.
FOLDER_FORMATS: Final = frozenset(
    {"infpop", "llm-pilot", "ml-energy", "vllm-bench", "guidellm", "aiperf", "optimum-benchmark"}
)
_PUBLISHED: Final = Signature(
    sought="the table of published measurements (source_path, engine, output_throughput, mode)",
    columns=frozenset({"source_path", "engine", "output_throughput", "mode"}),
)
SIGNATURES: Final[Mapping[str, tuple[Signature, ...]]] = {
    "published": (_PUBLISHED,),
    "infpop": infpop.SIGNATURES,
    "llm-inference-bench": llm_inference_bench.SIGNATURES,
    "llm-pilot": llm_pilot.SIGNATURES,
    "ml-energy": ml_energy.SIGNATURES,
    "aiconfigurator": aiconfigurator.SIGNATURES,
    "trtllm": trtllm.SIGNATURES,
    "vllm-bench": vllm_bench.SIGNATURES,
    "guidellm": guidellm.SIGNATURES,
    "aiperf": aiperf.SIGNATURES,
    "optimum-benchmark": optimum_benchmark.SIGNATURES,
}
_RUNS_SOUGHT: Final = "JSON lines or CSV of RunRecords"
_RUNS_COLUMNS: Final = frozenset({"engine", "model", "gpu"})
_MOST_TRIED: Final = 50


def detect(path: Path) -> str:
    """Return the format of a file or folder by its content.

    Raises:
        UsageError: When none fits, saying what was looked for, or a folder holds several formats.
    """
    if path.is_dir():
        return _detect_folder(path)
    found = _recognise(read_head(path), path)
    if found is None:
        raise UsageError(f"{path} is of no known format; looked for {_sought()}")
    return found


def _sought() -> str:
    formats = {"runs": [_RUNS_SOUGHT]} | {
        name: [signature.sought for signature in signatures]
        for name, signatures in SIGNATURES.items()
    }
    return "; ".join(f"{' or '.join(words)} ({name})" for name, words in formats.items())


def _recognise(head: Head, path: Path) -> str | None:
    for name, signatures in SIGNATURES.items():
        if any(signature.fits(head) for signature in signatures):
            return name
    if head.columns >= _RUNS_COLUMNS:
        return "runs"
    # A first line that is damaged, or has a foreign key, is a row to refuse, not another format.
    is_lines = path.suffix != ".json" and head.first_line.startswith("{")
    return "runs" if is_lines or head.keys >= _RUNS_COLUMNS else None


def recognised_files(path: Path, format_name: str) -> list[Path]:
    """Return the files of a folder that are of a format.

    Raises:
        UsageError: When there is none.
    """
    found = [file for file in _candidates(path) if _recognise_or_none(file) == format_name]
    if not found:
        raise UsageError(f"{path} holds no file of the format {format_name}")
    return found


def _candidates(path: Path) -> list[Path]:
    return [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file()
        and file.suffix in (".json", ".csv", ".md", ".jsonl", ".gz")
        and not file.name.endswith(".rejected.jsonl")
    ]


def _detect_folder(path: Path) -> str:
    files = _candidates(path)
    found = {name for p in files[:_MOST_TRIED] if (name := _recognise_or_none(p)) is not None}
    if len(found) > 1:
        raise UsageError(
            f"{path} holds several formats ({', '.join(sorted(found))}): import each by itself, "
            "or say which with --format"
        )
    if not found:
        raise UsageError(
            f"{path} holds {len(files)} .json, .csv, .md or .jsonl files, none of a known format; "
            f"looked for {_sought()}"
        )
    return found.pop()


def _recognise_or_none(path: Path) -> str | None:
    try:
        return _recognise(read_head(path), path)
    except UsageError:
        return None
