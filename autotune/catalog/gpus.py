"""Accelerators and CPUs as spec sheets: look-up by any of their names, and detection."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from autotune.catalog.gpu_catalogue import index, load_gpus, not_supported, short_names
from autotune.catalog.gpu_sheet import GpuSpec, normalise
from autotune.catalog.own_gpus import (
    CATALOGUE,
    GPU_SHEET,
    KnownGpu,
    add_gpus,
    find_own,
    own_gpus,
    own_short_name,
    recorded_sheet,
    remember_recorded_gpus,
)
from autotune.catalog.processors import detect_cpu, find_cpu
from autotune.errors import UnknownGpuError, UnsupportedGpuError

__all__ = [
    "CATALOGUE",
    "GPU_SHEET",
    "GpuSpec",
    "KnownGpu",
    "add_gpus",
    "ambiguity",
    "detect_cpu",
    "detect_gpus",
    "find_gpu",
    "load_gpus",
    "open_devices",
    "own_gpus",
    "recorded_sheet",
    "remember_recorded_gpus",
    "visible_devices",
]


def find_gpu(name: str) -> GpuSpec:
    """Return the spec named by a canonical name, an alias, an NVML name, or "cpu".

    A CPU of another machine resolves to a generic spec scaled by the core count in its name.

    Raises:
        UnknownGpuError: lists the nearest names; UnsupportedGpuError for hardware that is unlike.
        InvalidConfigError: the user's own file of GPUs, which may hold it, cannot be used.
    """
    if canonical := index().get(normalise(name)):
        return load_gpus()[canonical]
    if cpu := find_cpu(name):
        return cpu
    if own := find_own(name):
        return own.spec
    if unlike := not_supported(name):
        raise UnsupportedGpuError(name, unlike.name, unlike.reason)
    raise UnknownGpuError(name, _alike(name))


def _alike(name: str) -> list[str]:
    """Return the names that a misspelt one may have meant; slices only for a slice."""
    names = (*load_gpus(), *(known.spec.name for known in own_gpus()))
    is_slice = "mig" in name.lower()
    return [known for known in names if is_slice or "-MIG-" not in known]


def ambiguity(name: str) -> str | None:
    """Return what a short name is taken for and what else it could mean; None if it is exact."""
    parts = _parts(name)
    if len(parts) <= 1:
        return None
    is_sxm = any("SXM" in alias for alias in find_gpu(parts[0]).aliases)
    form = " (the SXM part)" if is_sxm else ""
    return f"{name} is taken for {parts[0]}{form}; it could also mean {', '.join(parts[1:])}"


def _parts(name: str) -> tuple[str, ...]:
    """Return the parts that a short name may mean; none for a name that means one."""
    return short_names().get(normalise(name)) or own_short_name(name) or ()


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


def detect_gpus() -> tuple[GpuSpec, ...]:
    """Return one spec for each visible GPU; empty without NVML.

    Raises:
        UnknownGpuError: For a GPU that neither the catalogue nor a file of the user's holds.
    """
    nvml, handles = open_devices()
    try:
        return tuple(_detected(nvml, handle) for handle in handles)
    except nvml.NVMLError:
        return ()


def _detected(nvml: Any, handle: Any) -> GpuSpec:
    """Return a device's spec; where cards of one name differ in memory, by that."""
    handle = _first_slice(nvml, handle) or handle
    name = nvml.nvmlDeviceGetName(handle)
    parts = _parts(name)
    if not parts:
        return find_gpu(name)
    memory_gb = nvml.nvmlDeviceGetMemoryInfo(handle).total / 2**30
    return min(map(find_gpu, parts), key=lambda spec: abs(spec.memory_gb - memory_gb))


def _first_slice(nvml: Any, handle: Any) -> Any:
    """Return the slice of a GPU that CUDA computes on; None where it is not sliced."""
    try:
        is_sliced, _ = nvml.nvmlDeviceGetMigMode(handle)
        most = nvml.nvmlDeviceGetMaxMigDeviceCount(handle) if is_sliced else 0
    except (nvml.NVMLError, AttributeError):  # a GPU, or a library, of before there were slices
        return None
    for place in range(most):
        with contextlib.suppress(nvml.NVMLError):  # nothing in this place
            return nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, place)
    return None
