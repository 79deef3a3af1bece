"""The GPUs that this process may use, as NVML handles."""

import os
from typing import Any


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
