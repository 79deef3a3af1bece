"""CPUs as spec sheets: this machine's, and one of another machine by its core count alone."""

from __future__ import annotations

import os
import platform
import re
from functools import cache
from pathlib import Path

from autotune.catalog.gpu_sheet import GpuSpec

_CPU_NAME = re.compile(r"cpu:.*-(\d{1,5})c", re.IGNORECASE)
_FP32_FLOPS_PER_CYCLE = {"avx512": 32, "avx2": 32, "neon": 16}
_AMX_BF16_FLOPS_PER_CYCLE = 2048
_CPU_GBS_PER_CORE, _CPU_GBS_MOST = 10.0, 300.0
_GENERIC_CPU_CLOCK_GHZ, _GENERIC_CPU_GB_PER_CORE = 2.5, 4.0


def find_cpu(name: str) -> GpuSpec | None:
    """Return the spec of "cpu" (this machine's) or of a CPU's name; None for any other name.

    A CPU of another machine is a generic one, scaled by the core count in its name.
    """
    if name.strip().lower() == "cpu":
        return detect_cpu()
    match = _CPU_NAME.fullmatch(name.strip())
    if match is None:
        return None
    here = detect_cpu()
    is_here = here.name.lower() == name.strip().lower()
    return here if is_here else _generic_cpu(name, int(match[1]))


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
