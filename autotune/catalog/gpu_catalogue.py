"""The GPUs that come with the program: sheets, short names, slices, and what is unlike them."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from autotune.catalog.gpu_sheet import GpuSpec, normalise

_CATALOGUE = Path(__file__).parent / "gpus.toml"
_MEMORY_SLICES = 8


class NotSupported(NamedTuple):
    """Hardware that no engine that is measured here serves on as on the others, and why."""

    name: str
    pattern: re.Pattern[str]
    reason: str


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))


@cache
def load_gpus() -> Mapping[str, GpuSpec]:
    """Return the catalogue, canonical name -> spec; the slices of a GPU come last."""
    whole = {
        name: GpuSpec(name=name, **{**entry, "aliases": tuple(entry["aliases"])})
        for name, entry in _tables()["gpus"].items()
    }
    slices = (
        _slice(whole[name], profile, table["sms"], figures)
        for table in _tables()["mig"]
        for name in table["of"]
        for profile, figures in table["profiles"].items()
    )
    return MappingProxyType(whole | {spec.name: spec for spec in slices})


def _slice(whole: GpuSpec, profile: str, sms: int, figures: Sequence[float]) -> GpuSpec:
    """Return a MIG slice: its share of the SMs computes, its share of the memory slices feeds it.

    Slices of a GPU do not reach each other: NCCL takes one of them a process.
    """
    own_sms, memory_slices, memory_gb = figures

    def share(rate: float | None) -> float | None:
        return None if rate is None else round(rate * own_sms / sms, 2)

    return GpuSpec(
        name=f"{whole.name}-MIG-{profile}",
        vendor=whole.vendor,
        architecture=whole.architecture,
        memory_gb=memory_gb,
        bandwidth_gbs=round(whole.bandwidth_gbs * memory_slices / _MEMORY_SLICES, 2),
        fp16_tflops=share(whole.fp16_tflops) or 0.0,
        bf16_tflops=share(whole.bf16_tflops),
        fp8_tflops=share(whole.fp8_tflops),
        fp4_tflops=share(whole.fp4_tflops),
        int8_tops=share(whole.int8_tops),
        fp32_tflops=share(whole.fp32_tflops) or 0.0,
        interconnect="none",
        interconnect_gbs=0,
        max_gpus=1,
        tdp_w=share(whole.tdp_w) or 0.0,
        year=whole.year,
        source=f"{whole.source}; NVIDIA Multi-Instance GPU user guide ({profile})",
        aliases=tuple(f"{alias} MIG {profile}" for alias in whole.aliases),
        note=f"{own_sms:g} of {sms} SMs, {memory_slices:g} of {_MEMORY_SLICES} memory slices; "
        "tdp_w is its share by SMs",
    )


@cache
def short_names() -> Mapping[str, tuple[str, ...]]:
    """Short name (normalised) -> the parts it may mean, the one it is taken for first."""
    shared = {name: tuple(parts) for name, parts in _tables()["short_names"].items()}
    sliced: dict[str, tuple[str, ...]] = {}
    for name, parts in shared.items():
        for spec in load_gpus().values():
            whole, mark, profile = spec.name.partition("-MIG-")
            if mark and whole in parts:
                key = normalise(f"{name} MIG {profile}")
                sliced[key] = (*sliced.get(key, ()), spec.name)
    return {normalise(name): parts for name, parts in shared.items()} | sliced


@cache
def index() -> Mapping[str, str]:
    """Every name, alias and short name (normalised) -> the canonical name."""
    names = {
        normalise(name): spec.name
        for spec in load_gpus().values()
        for name in (*spec.aliases, spec.name)
    }
    return names | {short: parts[0] for short, parts in short_names().items()}


def not_supported(name: str) -> NotSupported | None:
    """Return what unlike hardware a name means, if any."""
    key = normalise(name)
    return next((item for item in _not_supported() if item.pattern.fullmatch(key)), None)


@cache
def _not_supported() -> tuple[NotSupported, ...]:
    return tuple(
        NotSupported(item["name"], re.compile(item["pattern"]), item["reason"])
        for item in _tables()["not_supported"]
    )
