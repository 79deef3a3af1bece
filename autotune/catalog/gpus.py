"""Accelerators and CPUs as spec sheets: catalogue look-up with aliases, and detection."""

from __future__ import annotations

import os
import platform
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from autotune.errors import UnknownGpuError


def open_devices(n_gpus: int | None = None) -> tuple[Any, list[Any]]:
    """Return the NVML module and handles of the first ``n_gpus`` visible devices (all for None).

    Without NVML, or when it fails, ``(None, [])``.
    """
    if n_gpus == 0:
        return None, []
    try:
        import pynvml
    except ImportError:
        return None, []
    try:
        pynvml.nvmlInit()
        devices = visible_devices(pynvml.nvmlDeviceGetCount())
        handles = [
            pynvml.nvmlDeviceGetHandleByIndex(int(d))
            if d.isdigit()
            else pynvml.nvmlDeviceGetHandleByUUID(d)
            for d in devices[:n_gpus]
        ]
    except pynvml.NVMLError:
        return None, []
    return pynvml, handles


def visible_devices(count: int) -> list[str]:
    """Return the device indices or UUIDs that ``CUDA_VISIBLE_DEVICES`` leaves visible."""
    listed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if listed is None:
        return [str(index) for index in range(count)]
    return [item.strip() for item in listed.split(",") if item.strip()]


_CATALOGUE = Path(__file__).parent / "gpus.toml"
_VENDOR_WORDS = re.compile(r"nvidia|tesla|geforce|amd|instinct|intel|datacentergpu|graphics|habana")
_CPU_NAME = re.compile(r"cpu:.*-(\d{1,5})c", re.IGNORECASE)
_FP32_FLOPS_PER_CYCLE = {"avx512": 32, "avx2": 32, "neon": 16}
_AMX_BF16_FLOPS_PER_CYCLE = 2048
_CPU_GBS_PER_CORE, _CPU_GBS_MOST = 10.0, 300.0
_GENERIC_CPU_CLOCK_GHZ, _GENERIC_CPU_GB_PER_CORE = 2.5, 4.0


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


@cache
def _catalogue() -> dict[str, dict[str, Any]]:
    return tomllib.loads(_CATALOGUE.read_text(encoding="utf-8"))


@cache
def load_gpus() -> Mapping[str, GpuSpec]:
    """Return the catalogue, canonical name -> spec."""
    return MappingProxyType(
        {
            name: GpuSpec(name=name, **{**entry, "aliases": tuple(entry["aliases"])})
            for name, entry in _catalogue()["gpus"].items()
        }
    )


@cache
def _short_names() -> Mapping[str, tuple[str, ...]]:
    """Short name (normalised) -> the parts it may mean, the one it is taken for first."""
    return {_normalise(k): tuple(parts) for k, parts in _catalogue()["short_names"].items()}


@cache
def _index() -> Mapping[str, str]:
    names = {
        _normalise(name): spec.name
        for spec in load_gpus().values()
        for name in (*spec.aliases, spec.name)
    }
    return names | {short: parts[0] for short, parts in _short_names().items()}


def find_gpu(name: str) -> GpuSpec:
    """Return the spec named by a canonical name, an alias, an NVML name, or "cpu".

    A CPU of another machine resolves to a generic spec scaled by the core count in its name.

    Raises:
        UnknownGpuError: lists the nearest names.
    """
    if canonical := _index().get(_normalise(name)):
        return load_gpus()[canonical]
    if name.strip().lower() == "cpu":
        return detect_cpu()
    if match := _CPU_NAME.fullmatch(name.strip()):
        here = detect_cpu()
        is_here = here.name.lower() == name.strip().lower()
        return here if is_here else _generic_cpu(name, int(match[1]))
    raise UnknownGpuError(name, load_gpus())


def ambiguity(name: str) -> str | None:
    """Return what a short name is taken for and what else it could mean; None if it is exact."""
    parts = _short_names().get(_normalise(name))
    if parts is None:
        return None
    is_sxm = any("SXM" in alias for alias in load_gpus()[parts[0]].aliases)
    form = " (the SXM part)" if is_sxm else ""
    return f"{name} is taken for {parts[0]}{form}; it could also mean {', '.join(parts[1:])}"


def detect_gpus() -> tuple[GpuSpec, ...]:
    """Return one spec for each visible GPU, all of the catalogue; empty without NVML."""
    nvml, handles = open_devices()
    try:
        return tuple(find_gpu(nvml.nvmlDeviceGetName(handle)) for handle in handles)
    except nvml.NVMLError:
        return ()


@cache
def detect_cpu() -> GpuSpec:
    """Return this machine's CPU as a spec; bandwidth and rates are estimates, not measurements."""
    fields = _cpuinfo()
    model = fields.get("model name") or platform.machine() or "unknown"
    flags = frozenset((fields.get("flags") or fields.get("Features") or "").split())
    cores = len(os.sched_getaffinity(0))
    slug = re.sub(r"[^a-z0-9]+", "-", model.lower()).strip("-")
    return _cpu_spec(
        name=f"CPU:{slug}-{cores}c",
        cores=cores,
        flags=flags,
        clock_ghz=float(fields.get("cpu MHz", _GENERIC_CPU_CLOCK_GHZ * 1000)) / 1000,
        memory_gb=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30,
        note="bandwidth and rates are estimated from cores, instruction sets and clock",
    )


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    lines = path.read_text(encoding="utf-8").split("\n\n")[0].splitlines() if path.exists() else []
    return {key.strip(): value.strip() for key, _, value in (x.partition(":") for x in lines)}


def _generic_cpu(name: str, cores: int) -> GpuSpec:
    return _cpu_spec(
        name=name,
        cores=cores,
        flags=frozenset({"avx2"}),
        clock_ghz=_GENERIC_CPU_CLOCK_GHZ,
        memory_gb=_GENERIC_CPU_GB_PER_CORE * cores,
        note="a CPU of another machine: everything is estimated from its core count",
    )


def _cpu_spec(
    *, name: str, cores: int, flags: frozenset[str], clock_ghz: float, memory_gb: float, note: str
) -> GpuSpec:
    vectors = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else "neon"
    fp32 = cores * clock_ghz * _FP32_FLOPS_PER_CYCLE[vectors] / 1000
    amx = cores * clock_ghz * _AMX_BF16_FLOPS_PER_CYCLE / 1000
    bandwidth = min(cores * _CPU_GBS_PER_CORE, _CPU_GBS_MOST)
    bf16 = amx if "amx_bf16" in flags else 2 * fp32 if "avx512_bf16" in flags else None
    return GpuSpec(
        name=name,
        vendor="cpu",
        architecture=vectors,
        memory_gb=memory_gb,
        bandwidth_gbs=bandwidth,
        fp16_tflops=fp32,
        bf16_tflops=bf16,
        fp32_tflops=fp32,
        interconnect="shared memory",
        interconnect_gbs=bandwidth,
        max_gpus=1,
        tdp_w=5.0 * cores,
        year=2022,
        source="estimated",
        note=note,
    )


def _normalise(name: str) -> str:
    return _VENDOR_WORDS.sub("", re.sub(r"[^a-z0-9]", "", name.lower()))
