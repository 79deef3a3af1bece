"""Power, energy and memory beside a measurement: NVML on GPUs, resident memory on a CPU."""

import os
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autotune.catalog.gpus import open_devices
from autotune.processes import members

GIB = 2**30
_SM_CLOCK = 1  # NVML_CLOCK_SM
_INSTANT_POWER = 186  # NVML_FI_DEV_POWER_INSTANT
_AVERAGED_S = 1.0  # what nvmlDeviceGetPowerUsage averages over, on Ampere and newer (NVML's manual)
_PAGE = os.sysconf("SC_PAGE_SIZE")


class Meter:
    """Samples while a ``with`` block runs; ``readings`` holds the RunRecord fields afterwards.

    Over a second or more, energy is what the GPU's own counter moved by (Volta and newer), or the
    mean of the sampled power; power and energy are summed over the GPUs. The counter is too coarse
    for less, and the usual power reading still holds what ran before: there the mean of the power
    of the moment counts, and a driver that does not tell it leaves power and energy out. Memory is
    the largest reading, of the fullest GPU or on a CPU of this process and its group, and holds
    what an engine reserves for its KV cache at the start. ``circumstances`` has the mean
    utilisation (%) and the mean clock of the multiprocessors (MHz) over all GPUs. What cannot be
    read stays out: of an engine over several hosts, power and energy, as only this host's GPUs
    could be asked.

    Args:
        n_gpus: The first so many visible GPUs; 0 on a CPU.
    """

    def __init__(self, n_gpus: int, *, interval_s: float = 0.1) -> None:
        self._n_gpus = n_gpus
        self._nvml, self._handles = open_devices(n_gpus)
        self._interval_s = interval_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._power_w: list[float] = []
        self._instant_w: list[float] = []
        self._processes = [os.getpid()]
        if os.getpgrp() == os.getpid():
            self._processes += members(os.getpgrp())
        self._utilization: list[float] = []
        self._clock_mhz: list[float] = []
        self._memory_gb = 0.0
        self.energy_j: float | None = None
        self.readings: dict[str, float] = {}
        self.circumstances: dict[str, float] = {}

    def __enter__(self) -> Self:
        self._energy_begin = self._energy_j()
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
        energy_end = self._energy_j()
        is_long = duration >= _AVERAGED_S
        sampled = self._instant_w or (self._power_w if is_long else [])
        mean_power = sum(sampled) / len(sampled) if sampled else None
        if self._energy_begin is not None and energy_end is not None and is_long:
            self.energy_j = energy_end - self._energy_begin
            mean_power = self.energy_j / duration
        elif mean_power is not None:
            self.energy_j = mean_power * duration
        if mean_power:
            self.readings["mean_power_w"] = mean_power
        if self._memory_gb:
            self.readings["peak_memory_gb"] = self._memory_gb
        for name, values in (
            ("mean_gpu_utilization", self._utilization),
            ("mean_sm_clock_mhz", self._clock_mhz),
        ):
            if values:
                self.circumstances[name] = round(sum(values) / len(values), 1)

    def _sample(self) -> None:
        while True:
            power_w = self._sum_of("nvmlDeviceGetPowerUsage")
            if power_w is not None:
                self._power_w.append(power_w / 1e3)
            self._instant_w += self._instant_power()
            self._utilization += [float(u.gpu) for u in self._read("nvmlDeviceGetUtilizationRates")]
            self._clock_mhz += map(float, self._read("nvmlDeviceGetClockInfo", _SM_CLOCK))
            self._memory_gb = max(self._memory_gb, self._memory_bytes() / GIB)
            if self._stop.wait(self._interval_s):
                return

    def _instant_power(self) -> list[float]:
        """Return one reading of all GPUs together in W, or none at all."""
        fields = [of_gpu[0] for of_gpu in self._read("nvmlDeviceGetFieldValues", [_INSTANT_POWER])]
        told = [field.value.uiVal for field in fields if field.nvmlReturn == 0]
        return [sum(told) / 1e3] if told and len(told) == self._n_gpus else []

    def _memory_bytes(self) -> int:
        if self._n_gpus == 0:
            return sum(map(resident_bytes, self._processes))
        used = self._read("nvmlDeviceGetMemoryInfo")
        return max((int(info.used) for info in used), default=0)

    def _energy_j(self) -> float | None:
        energy_mj = self._sum_of("nvmlDeviceGetTotalEnergyConsumption")
        return None if energy_mj is None else energy_mj / 1e3

    def _sum_of(self, query: str) -> float | None:
        values = self._read(query)
        return sum(values) if values and len(values) == self._n_gpus else None

    def _read(self, query: str, *arguments: object) -> list[Any]:
        """Return one reading a GPU, or none at all: a meter that fails must not end the run."""
        if not self._handles:
            return []
        try:
            return [getattr(self._nvml, query)(handle, *arguments) for handle in self._handles]
        except self._nvml.NVMLError:
            return []


def resident_bytes(pid: int) -> int:
    """Return a process's resident memory; 0 where /proc does not tell."""
    try:
        pages = Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return 0
    return int(pages) * _PAGE
