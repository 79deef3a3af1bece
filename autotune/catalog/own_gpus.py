"""GPUs that the catalogue lacks: from the user's files, and from the sheets that records carry.

They are known to one process. A name means one sheet in it: what was known first stays, a file that
says otherwise is refused, and a record that does is told of in a remark. The catalogue's own sheets
are never replaced.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, Final, NamedTuple

from autotune.catalog.gpu_catalogue import index, load_gpus
from autotune.catalog.gpu_files import GpuFile, read_gpu_file, user_gpu_file
from autotune.catalog.gpu_sheet import GpuSpec, normalise, sheet_of, spec_of
from autotune.errors import InvalidConfigError
from autotune.schema.record import RunRecord

GPU_SHEET: Final = "gpu_sheet"
CATALOGUE: Final = "catalogue"
RECORDED: Final = "recorded runs"


class KnownGpu(NamedTuple):
    """A GPU and where its sheet comes from: the catalogue, a file, or recorded runs."""

    spec: GpuSpec
    origin: str


_known: dict[str, KnownGpu] = {}
_short: dict[str, tuple[str, ...]] = {}


@cache
def _add_users() -> None:
    """Add the user's own file, once a process; one that cannot be used says so every time."""
    path = user_gpu_file()
    with contextlib.suppress(OSError):
        if path is not None and path.is_file():
            _add(read_gpu_file(path), str(path))


def add_gpus(path: Path | str) -> tuple[str, ...]:
    """Make the GPUs of a file findable in this process; return their names.

    The file is TOML of the catalogue's form: a table ``[gpus."NAME"]`` each, with the keys of
    ``GpuSpec``; ``[short_names]`` may name several parts at once. Adding a file again does nothing.

    Raises:
        InvalidConfigError: For a file, key, unit or value that cannot be meant, and for a name that
            another GPU has already; nothing of the file is added then.
    """
    _add_users()
    file = read_gpu_file(Path(path))
    _add(file, str(path))
    return tuple(spec.name for spec in file.gpus)


def add_specs(specs: Iterable[GpuSpec], origin: str) -> None:
    """Make GPUs of another process findable in this one.

    Raises:
        InvalidConfigError: When a name means another GPU here.
    """
    _add(GpuFile(tuple(specs), {}), origin)


def own_gpus() -> tuple[KnownGpu, ...]:
    """Return the GPUs that are known beside the catalogue's, in the order they were added."""
    _add_users()
    return tuple({known.spec.name: known for known in _known.values()}.values())


def find_own(name: str) -> KnownGpu | None:
    """Return the GPU beside the catalogue's that a name, an alias or a short name means."""
    _add_users()
    key = normalise(name)
    if key in _short:
        part = _short[key][0]
        return _known.get(normalise(part)) or KnownGpu(load_gpus()[part], CATALOGUE)
    return _known.get(key)


def own_short_name(name: str) -> tuple[str, ...] | None:
    """Return the parts that a short name of the user's may mean."""
    return _short.get(normalise(name))


def _add(file: GpuFile, origin: str) -> None:
    """Add a file's GPUs, all or none."""
    for spec in file.gpus:
        for name in (spec.name, *spec.aliases):
            _refuse_taken(name, spec, origin)
    for short, parts in file.short_names.items():
        if normalise(short) in _known or _short.get(normalise(short), parts) != parts:
            raise InvalidConfigError(f"{origin}: short_names: {short!r} means another GPU already")
    for spec in file.gpus:
        for name in (spec.name, *spec.aliases):
            _known[normalise(name)] = KnownGpu(spec, origin)
    _short.update({normalise(short): parts for short, parts in file.short_names.items()})


def _refuse_taken(name: str, spec: GpuSpec, origin: str) -> None:
    key, where = normalise(name), f"{origin}, GPU {spec.name!r}"
    if key in index():
        raise InvalidConfigError(
            f"{where}: {name!r} is {index()[key]} of the catalogue; leave it out, or choose "
            "another name"
        )
    other = _known.get(key)
    if key in _short or (other is not None and other.spec.name != spec.name):
        owner = "a short name" if other is None else f"{other.spec.name!r} of {other.origin}"
        raise InvalidConfigError(f"{where}: {name!r} is {owner} already; choose another name")
    if other is not None and (difference := _difference(other.spec, spec)):
        raise InvalidConfigError(
            f"{where} is known from {other.origin} with other figures ({difference}); correct one "
            "of them, or choose another name"
        )


def _difference(there: GpuSpec, here: GpuSpec) -> str:
    """Return in what two sheets differ; empty where it is in nothing but remarks."""
    before, after = sheet_of(there), sheet_of(here)
    keys = {**before, **after}.keys() - {"source", "note"}
    return ", ".join(
        f"{key} {before.get(key, 'unset')} there, {after.get(key, 'unset')} here"
        for key in sorted(keys)
        if before.get(key) != after.get(key)
    )


def recorded_sheet(name: str) -> dict[str, Any] | None:
    """Return the sheet that a record of a GPU must carry to be understood elsewhere.

    None for a GPU of the catalogue, for a processor, and for a name that nothing is known of.
    """
    known = None if normalise(name) in index() else find_own(name)
    return None if known is None else sheet_of(known.spec)


def remember_recorded_gpus(records: Iterable[RunRecord]) -> tuple[str, ...]:
    """Make the GPUs of these records findable by the names they carry, where nothing else is.

    Returns:
        A sentence for each sheet that is not used: one that cannot be meant, and one that differs
        from what was known before (a file's, or an earlier record's).
    """
    found: list[tuple[str, object]] = []
    for record in records:
        carried = (record.gpu, record.environment.get(GPU_SHEET))
        if carried[1] is not None and carried not in found:
            found.append(carried)
    return remember_sheets(found)


def remember_sheets(sheets: Iterable[tuple[str, object]]) -> tuple[str, ...]:
    """Do the same with the sheets of a document, a name and a sheet each."""
    remarks = (_remember(name, sheet) for name, sheet in sheets)
    return tuple(remark for remark in remarks if remark is not None)


def _remember(name: str, sheet: object) -> str | None:
    if normalise(name) in index():
        return None
    known = find_own(name)
    try:
        spec = dataclasses.replace(spec_of(name, sheet, RECORDED), aliases=())
    except InvalidConfigError as error:
        return f"the sheet of a GPU is not used: {error}"
    if known is None:
        _known[normalise(name)] = KnownGpu(spec, RECORDED)
        return None
    difference = _difference(known.spec, spec)
    if not difference:
        return None
    return (
        f"{name} has other figures in some {RECORDED} than in {known.origin} ({difference}); those "
        f"of {known.origin} are used"
    )
