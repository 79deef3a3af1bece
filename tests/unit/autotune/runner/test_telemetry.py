"""The meter reads what there is to read, and never ends a measurement."""

import os
import time
from types import SimpleNamespace
from typing import Any

import pytest

from autotune.runner import telemetry
from autotune.runner.telemetry import GIB, Meter, resident_bytes


class NvmlError(Exception):
    """What a driver raises."""


class Driver:
    """Stands in for NVML, which a host without an NVIDIA GPU does not have.

    Args:
        broken: Queries that raise.
        knows_instant_power: Whether it tells the power of the moment.
    """

    NVMLError = NvmlError

    def __init__(self, *broken: str, knows_instant_power: bool = True) -> None:
        self._broken = broken
        self._knows_instant_power = knows_instant_power
        self._energy_mj = 0

    def __getattr__(self, query: str) -> Any:
        def answer(handle: int, *arguments: int) -> Any:
            if query in self._broken:
                raise NvmlError(query)
            if query == "nvmlDeviceGetMemoryInfo":
                return SimpleNamespace(used=(handle + 1) * GIB)
            if query == "nvmlDeviceGetPowerUsage":
                return 100_000
            if query == "nvmlDeviceGetFieldValues":
                status = 0 if self._knows_instant_power else 3  # NVML_ERROR_NOT_SUPPORTED
                return [SimpleNamespace(nvmlReturn=status, value=SimpleNamespace(uiVal=300_000))]
            if query == "nvmlDeviceGetUtilizationRates":
                return SimpleNamespace(gpu=90 + handle)
            if query == "nvmlDeviceGetClockInfo":
                return 1980
            self._energy_mj += 60_000
            return self._energy_mj

        return answer


def use(monkeypatch: pytest.MonkeyPatch, driver: Driver) -> None:
    monkeypatch.setattr(telemetry, "open_devices", lambda n_gpus: (driver, list(range(n_gpus))))


def test_on_a_cpu_the_memory_is_this_process_s() -> None:
    with Meter(0, interval_s=0.01) as meter:
        time.sleep(0.05)
    assert meter.readings.keys() == {"peak_memory_gb"}
    assert meter.readings["peak_memory_gb"] == pytest.approx(
        resident_bytes(os.getpid()) / GIB, rel=0.5
    )
    assert meter.energy_j is None


def test_on_gpus_power_is_summed_and_memory_is_the_fullest_one_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Driver())
    with Meter(2, interval_s=0.01) as meter:
        time.sleep(0.05)
    assert meter.readings["mean_power_w"] == pytest.approx(600)
    assert meter.readings["peak_memory_gb"] == 2
    assert meter.circumstances == {"mean_gpu_utilization": 90.5, "mean_sm_clock_mhz": 1980}


@pytest.mark.parametrize(
    "driver",
    [
        Driver(knows_instant_power=False),
        Driver("nvmlDeviceGetFieldValues"),
    ],
)
def test_a_short_run_has_no_power_where_the_driver_tells_only_that_of_the_last_second(
    monkeypatch: pytest.MonkeyPatch, driver: Driver
) -> None:
    use(monkeypatch, driver)
    with Meter(2, interval_s=0.01) as meter:
        time.sleep(0.05)
    assert "mean_power_w" not in meter.readings
    assert meter.energy_j is None


def test_a_long_run_without_a_counter_takes_its_energy_from_the_power(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    use(monkeypatch, Driver("nvmlDeviceGetTotalEnergyConsumption", "nvmlDeviceGetFieldValues"))
    with Meter(1, interval_s=0.05) as meter:
        time.sleep(1.05)
    assert meter.energy_j == pytest.approx(105, rel=0.2)


def test_power_of_some_of_the_gpus_is_not_the_engine_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(telemetry, "open_devices", lambda n_gpus: (Driver(), [0, 1]))
    with Meter(4, interval_s=0.01) as meter:
        time.sleep(0.05)
    assert meter.energy_j is None
    assert meter.readings == {"peak_memory_gb": 2}


def test_a_long_run_takes_its_energy_from_the_counter(monkeypatch: pytest.MonkeyPatch) -> None:
    use(monkeypatch, Driver())
    with Meter(1, interval_s=0.05) as meter:
        time.sleep(1.05)
    assert meter.energy_j == pytest.approx(60)
    assert meter.readings["mean_power_w"] == pytest.approx(60 / 1.05, rel=0.2)


@pytest.mark.parametrize(
    "broken",
    [
        ("nvmlDeviceGetPowerUsage",),
        ("nvmlDeviceGetFieldValues",),
        ("nvmlDeviceGetMemoryInfo",),
        ("nvmlDeviceGetTotalEnergyConsumption",),
        ("nvmlDeviceGetUtilizationRates", "nvmlDeviceGetClockInfo"),
        (
            "nvmlDeviceGetPowerUsage",
            "nvmlDeviceGetFieldValues",
            "nvmlDeviceGetMemoryInfo",
            "nvmlDeviceGetTotalEnergyConsumption",
        ),
    ],
)
def test_a_query_that_fails_leaves_its_reading_out_and_the_run_alone(
    monkeypatch: pytest.MonkeyPatch, broken: tuple[str, ...]
) -> None:
    use(monkeypatch, Driver(*broken))
    with Meter(1, interval_s=0.01) as meter:
        time.sleep(0.05)
    assert ("mean_power_w" in meter.readings) == ("nvmlDeviceGetFieldValues" not in broken)
    assert ("peak_memory_gb" in meter.readings) == ("nvmlDeviceGetMemoryInfo" not in broken)


def test_a_gpu_without_nvml_has_no_readings_rather_than_the_hosts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(telemetry, "open_devices", lambda n_gpus: (None, []))
    with Meter(1, interval_s=0.01) as meter:
        time.sleep(0.02)
    assert meter.readings == {}
    assert meter.energy_j is None
