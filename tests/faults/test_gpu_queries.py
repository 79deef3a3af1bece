"""A GPU's driver that fails at any of its queries, in the place of one that works."""

from pathlib import Path

import pytest

from tests.support.lightly import LIGHT, Bench, assert_nothing_lost_or_doubled
from tests.support.workspace import on_path

QUERIES = (
    "nvmlInit",
    "nvmlDeviceGetCount",
    "nvmlDeviceGetHandleByIndex",
    "nvmlDeviceGetName",
    "nvmlDeviceGetUUID",
    "nvmlDeviceGetMemoryInfo",
    "nvmlDeviceGetComputeRunningProcesses",
    "nvmlDeviceGetPowerUsage",
    "nvmlDeviceGetFieldValues",
    "nvmlDeviceGetTotalEnergyConsumption",
    "nvmlDeviceGetUtilizationRates",
    "nvmlDeviceGetClockInfo",
    "nvmlSystemGetDriverVersion",
)
# A host without an NVIDIA GPU has no driver to break, so this one stands in for it.
DRIVER = '''
"""NVML as a host with one idle H100 has it, but for the query that BROKEN_QUERY names."""
import os
from types import SimpleNamespace


class NVMLError(Exception):
    pass


_ANSWERS = {
    "nvmlDeviceGetCount": 1,
    "nvmlDeviceGetHandleByIndex": 0,
    "nvmlDeviceGetName": "NVIDIA H100 80GB HBM3",
    "nvmlDeviceGetUUID": f"GPU-test-{os.environ['GPU_OF_TEST']}",
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=0, total=80 * 2**30),
    "nvmlDeviceGetComputeRunningProcesses": (),
    "nvmlDeviceGetPowerUsage": 300_000,
    "nvmlDeviceGetFieldValues": [
        SimpleNamespace(nvmlReturn=0, value=SimpleNamespace(uiVal=300_000))
    ],
    "nvmlDeviceGetTotalEnergyConsumption": 1_000,
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=50),
    "nvmlDeviceGetClockInfo": 1980,
    "nvmlSystemGetDriverVersion": "999.0",
    "nvmlInit": None,
}


def __getattr__(name):
    def query(*arguments):
        if name == os.environ.get("BROKEN_QUERY"):
            raise NVMLError(name + " failed: GPU is lost")
        return _ANSWERS[name]

    if name not in _ANSWERS:
        raise AttributeError(name)
    return query
'''


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_that_fails_ends_no_study_and_invents_no_reading(
    query: str, tmp_path: Path
) -> None:
    (tmp_path / "driver").mkdir()
    (tmp_path / "driver" / "pynvml.py").write_text(DRIVER)
    environment = {
        "PYTHONPATH": on_path(LIGHT, tmp_path / "driver"),
        "BROKEN_QUERY": query,
        "GPU_OF_TEST": f"{tmp_path.parent.name}-{tmp_path.name}",
    }
    bench = Bench(tmp_path, environment).prepare()
    ended = bench.run()
    assert ended.code == 0, ended.err
    records = bench.records()
    assert_nothing_lost_or_doubled(records)
    assert {record.status for record in records} == {"completed"}
    for record in records:
        # Without its name the GPU is not known to be there; the processor is measured then.
        assert record.gpu == "H100-80GB" or record.gpu.startswith("CPU:")
        # The passes take less than a second, for which only the power of the moment counts.
        if query in ("nvmlDeviceGetFieldValues", "nvmlInit"):
            assert record.mean_power_w is None
