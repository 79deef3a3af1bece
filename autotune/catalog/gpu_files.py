"""Files of GPUs that the catalogue lacks: TOML of the catalogue's form, checked as it is read."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

from autotune.catalog.gpu_catalogue import index, load_gpus
from autotune.catalog.gpu_sheet import GpuSpec, normalise, spec_of
from autotune.errors import InvalidConfigError, did_you_mean
from autotune.schema.validation import refuse_setting

_MOST_BYTES: Final = 2**20
_TABLES: Final = ("gpus", "short_names")


class GpuFile(NamedTuple):
    """What a file of GPUs holds.

    Attributes:
        short_names: Short name -> the parts it may mean, the one it is taken for first.
    """

    gpus: tuple[GpuSpec, ...]
    short_names: Mapping[str, tuple[str, ...]]


def user_gpu_file() -> Path | None:
    """Return where the user's own GPUs are kept, there or not; None for a user without a home."""
    folder = os.environ.get("XDG_CONFIG_HOME")
    try:
        base = Path(folder) if folder else Path("~/.config").expanduser()
    except RuntimeError:
        return None
    return base / "autotune" / "gpus.toml"


def read_gpu_file(path: Path) -> GpuFile:
    """Read and check a file of GPUs; nothing is added.

    Raises:
        InvalidConfigError: Naming the file, the GPU, the key and what it must be.
    """
    data = _read_toml(path)
    for key in data:
        if key not in _TABLES:
            hint = did_you_mean(key, _TABLES)
            raise InvalidConfigError(
                f'{path}: unknown table {key[:80]!r}.{hint} A GPU is a table [gpus."NAME"]'
            )
    sheets = data.get("gpus")
    if not isinstance(sheets, dict) or not sheets:
        raise InvalidConfigError(
            f'{path} holds no GPU: give each a table [gpus."NAME"], as `autotune gpus --help` shows'
        )
    gpus = tuple(spec_of(name, sheet, str(path)) for name, sheet in sheets.items())
    _check_names(gpus, path)
    return GpuFile(gpus, _read_short_names(data.get("short_names", {}), gpus, path))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_BYTES + 1)
        if len(data) > _MOST_BYTES:
            raise InvalidConfigError(f"{path} is larger than {_MOST_BYTES} bytes")
        return tomllib.loads(data.decode())
    except InvalidConfigError:
        raise
    except OSError as error:
        raise InvalidConfigError(f"cannot read {path}: {error.strerror or error}") from error
    # Besides its own errors, tomllib lets those of the values through (a 13th month).
    except (ValueError, RecursionError, OverflowError) as error:
        raise InvalidConfigError(f"{path} is not TOML: {str(error)[:200]}") from error


def _check_names(gpus: Iterable[GpuSpec], path: Path) -> None:
    owners: dict[str, str] = {}
    for spec in gpus:
        for name in (spec.name, *spec.aliases):
            owner = owners.setdefault(normalise(name), spec.name)
            if owner != spec.name:
                raise InvalidConfigError(
                    f"{path}: {owner!r} and {spec.name!r} are both called {name!r}; a name must "
                    "mean one GPU"
                )


def _read_short_names(
    table: object, gpus: Iterable[GpuSpec], path: Path
) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict):
        raise InvalidConfigError(f"{path}: short_names must be a table of lists of GPU names")
    own = {spec.name for spec in gpus}
    taken = {normalise(n): s.name for s in gpus for n in (s.name, *s.aliases)} | dict(index())
    for name, parts in table.items():
        where = f"{path}: short_names: {name[:80]!r}"
        if not isinstance(parts, list) or not parts:
            raise refuse_setting(where, parts, "a list of GPU names")
        for part in parts:
            if part not in own and part not in load_gpus():
                hint = did_you_mean(str(part), (*own, *load_gpus()))
                raise InvalidConfigError(f"{where} names {str(part)[:80]!r}, an unknown GPU.{hint}")
        if not normalise(name) or normalise(name) in taken:
            raise InvalidConfigError(
                f"{where} is taken by {taken.get(normalise(name), 'nothing')!r}; choose another"
            )
    return {name: tuple(parts) for name, parts in table.items()}
