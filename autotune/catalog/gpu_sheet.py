"""A GPU as its vendor specifies it, and what checks a sheet that did not come with the program."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from autotune.errors import InvalidConfigError, did_you_mean
from autotune.schema.validation import refuse_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuSpec:
    """One accelerator as its vendor specifies it; every rate is dense, without sparsity.

    Attributes:
        memory_gb: usable memory as the driver reports it, in 2**30 bytes.
        bandwidth_gbs: peak memory bandwidth, in 10**9 bytes/s.
        fp16_tflops: of the matrix units with fp32 accumulation; None for a type that they lack.
        fp32_tflops: plain fp32 on the vector units (not TF32).
        interconnect_gbs: of one GPU to its peers, both directions together, in 10**9 bytes/s.
        max_gpus: GPUs of one node (or NVLink domain) that the interconnect joins.
    """

    name: str
    vendor: str
    architecture: str
    memory_gb: float
    bandwidth_gbs: float
    fp16_tflops: float
    bf16_tflops: float | None = None
    fp8_tflops: float | None = None
    fp4_tflops: float | None = None
    int8_tops: float | None = None
    fp32_tflops: float
    interconnect: str
    interconnect_gbs: float
    max_gpus: int
    tdp_w: float
    year: int
    source: str
    aliases: tuple[str, ...] = ()
    note: str = ""


VENDORS: Final = ("nvidia", "amd", "intel", "habana", "other")
_TFLOPS: Final = (1, 100_000, "dense TFLOPS (a PFLOPS is 1000)")
# From what no GPU is below to what none is above: a figure in another unit falls outside.
_NUMBERS: Final[Mapping[str, tuple[float, float, str]]] = {
    "memory_gb": (1, 2_000, "2**30 bytes (24, not 24576)"),
    "bandwidth_gbs": (20, 100_000, "10**9 bytes/s (a TB/s is 1000)"),
    "fp16_tflops": _TFLOPS,
    "bf16_tflops": _TFLOPS,
    "fp8_tflops": _TFLOPS,
    "fp4_tflops": _TFLOPS,
    "int8_tops": (1, 100_000, "dense TOPS (a POPS is 1000)"),
    "fp32_tflops": _TFLOPS,
    "interconnect_gbs": (2, 20_000, "10**9 bytes/s, both directions (PCIe 4 x16 is 64)"),
    "tdp_w": (5, 20_000, "watts"),
}
_WHOLE: Final[Mapping[str, tuple[int, int, str]]] = {
    "max_gpus": (1, 1_024, "GPUs of one host"),
    "year": (2000, 2100, "of its launch"),
}
_KEYS: Final = tuple(f.name for f in dataclasses.fields(GpuSpec) if f.name != "name")
_REQUIRED: Final = tuple(
    f.name
    for f in dataclasses.fields(GpuSpec)
    if f.name != "name" and f.default is dataclasses.MISSING
)
_LONGEST: Final = 200
_MOST_ALIASES: Final = 50
_VENDOR_WORDS = re.compile(r"nvidia|tesla|geforce|amd|instinct|intel|datacentergpu|graphics|habana")


def normalise(name: str) -> str:
    """Return a name as look-ups compare it: letters and digits, without the maker's words."""
    return _VENDOR_WORDS.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))


def spec_of(name: object, sheet: object, where: str) -> GpuSpec:
    """Return the GPU that a sheet describes.

    Args:
        sheet: The keys of ``GpuSpec`` without its name, those that have a default being optional.
        where: What the sheet was found in, for the message.

    Raises:
        InvalidConfigError: For a name, key, type, unit or value that cannot be meant.
    """
    _check_name(f"{where}: GPU name", name)
    assert isinstance(name, str)
    here = f"{where}, GPU {name!r}"
    if not isinstance(sheet, Mapping):
        raise InvalidConfigError(f"{here} must be a table of figures, as [gpus.{name!r}]")
    _check_keys(sheet, here)
    for key, value in sheet.items():
        _check_value(f"{here}: {key}", key, value)
    _check_together(sheet, here)
    return GpuSpec(name=name, **{**sheet, "aliases": tuple(sheet.get("aliases", ()))})


def sheet_of(spec: GpuSpec) -> dict[str, Any]:
    """Return the sheet that ``spec_of`` reads, as JSON-ready values; what is not set is left out.

    Aliases stay behind: they are names on the host that has the GPU, not what a record goes by.
    """
    values = dataclasses.asdict(spec)
    return {
        key: values[key] for key in _KEYS if key != "aliases" and values[key] not in (None, "", ())
    }


def _check_name(what: str, name: object) -> None:
    if not isinstance(name, str) or name != name.strip() or not normalise(name):
        raise refuse_setting(what, name, "a text with letters or digits beside the maker's name")
    if not name.isprintable() or len(name) > _LONGEST:
        raise refuse_setting(what, name, f"at most {_LONGEST} printable characters")
    if normalise(name).startswith("cpu"):
        raise refuse_setting(what, name, "of a GPU; a name that begins with CPU is a processor's")


def _check_keys(sheet: Mapping[Any, object], here: str) -> None:
    for key in sheet:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS)
            raise InvalidConfigError(
                f"{here}: unknown key {str(key)[:_LONGEST]!r}.{hint} `autotune gpus --help` lists "
                "the keys"
            )
    missing = [key for key in _REQUIRED if key not in sheet]
    if missing:
        raise InvalidConfigError(
            f"{here} lacks {', '.join(missing)}; `autotune gpus --help` says what each means"
        )


def _check_value(what: str, key: str, value: object) -> None:
    if key in _NUMBERS or key in _WHOLE:
        _check_number(what, key, value)
    elif key == "aliases":
        if not isinstance(value, list | tuple) or len(value) > _MOST_ALIASES:
            raise refuse_setting(what, value, f"a list of at most {_MOST_ALIASES} names")
        for alias in value:
            _check_name(what, alias)
    else:
        _check_text(what, key, value)


def _check_text(what: str, key: str, value: object) -> None:
    if key == "vendor" and value not in VENDORS:
        raise refuse_setting(what, value, f"one of {', '.join(VENDORS)}")
    if not isinstance(value, str) or not value.isprintable() or len(value) > _LONGEST:
        raise refuse_setting(what, value, f"a text of at most {_LONGEST} printable characters")
    if not value.strip() and key != "note":
        raise refuse_setting(what, value, "a text that is not empty")


def _check_number(what: str, key: str, value: object) -> None:
    low, high, unit = _NUMBERS[key] if key in _NUMBERS else _WHOLE[key]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or (key in _WHOLE and not isinstance(value, int)):
        kind = "a whole number" if key in _WHOLE else "a number"
        raise refuse_setting(what, value, f"{kind}, {unit}")
    assert isinstance(value, int | float)
    # a GPU that is alone has no peers to be joined to
    if not low <= value <= high and not (key == "interconnect_gbs" and value == 0):
        raise refuse_setting(what, value, f"from {low:g} to {high:g}, in {unit}")


def _check_together(sheet: Mapping[str, Any], here: str) -> None:
    """Refuse a sheet whose figures contradict each other."""
    if sheet["interconnect_gbs"] == 0 and sheet["max_gpus"] > 1:
        raise InvalidConfigError(
            f"{here}: interconnect_gbs=0 means no peers, but max_gpus={sheet['max_gpus']}; give "
            "the bandwidth between them (PCIe 4 x16 is 64), or max_gpus = 1"
        )
    rates = [(key, sheet[key]) for key in ("fp16_tflops", "fp8_tflops", "fp4_tflops")
             if key in sheet]  # fmt: skip
    for (wide, slower), (narrow, faster) in itertools.pairwise(rates):
        if faster < slower:
            raise InvalidConfigError(
                f"{here}: {narrow}={faster:g} is below {wide}={slower:g}; give dense rates, and "
                f"leave {narrow} out where the matrix units lack the type"
            )
