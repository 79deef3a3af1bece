"""Power, energy and memory beside a measurement: NVML on GPUs, resident memory on a CPU."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

GIB = 2**30
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Samples while a ``with`` block runs; ``readings`` holds the RunRecord fields afterwards.

    Energy comes from the GPU's own counter where it has one (Volta and newer), otherwise from the
    mean of the sampled power; power and energy are summed over the GPUs, memory is the largest.
    """

    def __init__(self, n_gpus: int, *, interval_s: float = 0.1) -> None:
        self._nvml, self._handles = _open_nvml(n_gpus)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._power_w: list[float] = []
        self._memory_gb = 0.0
        self.energy_j: float | None = None
        self.readings: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._energy_begin = self._energy_counter()
        self._begin = time.perf_counter()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        duration = time.perf_counter() - self._begin
        energy_end = self._energy_counter()
        mean_power = sum(self._power_w) / len(self._power_w) if self._power_w else None
        if self._energy_begin is not None and energy_end is not None and duration >= 1:
            self.energy_j = energy_end - self._energy_begin
            mean_power = self.energy_j / duration
        elif mean_power is not None:
            self.energy_j = mean_power * duration
        if mean_power:
            self.readings["mean_power_w"] = mean_power
        if self._memory_gb:
            self.readings["peak_memory_gb"] = self._memory_gb

    def _sample(self) -> None:
        while True:
            if self._handles:
                self._power_w.append(
                    sum(self._nvml.nvmlDeviceGetPowerUsage(h) for h in self._handles) / 1e3
                )
                used = max(self._nvml.nvmlDeviceGetMemoryInfo(h).used for h in self._handles)
            else:
                used = resident_bytes()
            self._memory_gb = max(self._memory_gb, used / GIB)
            if self._stop.wait(self._interval_s):
                return

    def _energy_counter(self) -> float | None:
        if not self._handles:
            return None
        try:
            counters = [self._nvml.nvmlDeviceGetTotalEnergyConsumption(h) for h in self._handles]
        except self._nvml.NVMLError:
            return None
        return sum(counters) / 1e3


def resident_bytes() -> int:
    """Return this process's resident memory (Linux)."""
    pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    return int(pages) * _PAGE


def _open_nvml(n_gpus: int) -> tuple[Any, list[Any]]:
    """Return the NVML module and handles of the first ``n_gpus`` visible devices."""
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
