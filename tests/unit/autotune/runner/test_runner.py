"""What a run's record says of its circumstances."""

import datetime
from pathlib import Path

import pytest

from autotune.catalog.gpus import GPU_SHEET, add_gpus
from autotune.runner.runner import RunnerSettings, Trial, TrialRunner
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import Workload
from autotune.study.fleet.host import _Nobody
from tests.support.gpu_files import NAME, SHEET, write_gpus

pytestmark = pytest.mark.usefixtures("no_own_gpus")
MODEL = "meta-llama/Llama-3.1-8B"


@pytest.mark.parametrize("gpu", [NAME, "H100-80GB", "CPU:some-epyc-8c"])
def test_a_record_carries_the_sheet_of_a_gpu_that_others_cannot_look_up(
    gpu: str, tmp_path: Path
) -> None:
    add_gpus(write_gpus(tmp_path / "mine.toml"))
    trial = Trial(
        config=EngineConfig(engine="vllm", model=MODEL, gpu=gpu),
        workload=Workload(),
        batch_size=4,
        configuration=Configuration(
            engine="vllm", model=MODEL, gpu=gpu, n_gpus=1, batch_size=4, input_len=512,
            output_len=128,
        ),
    )  # fmt: skip
    runner = TrialRunner(RunnerSettings(session_id="s", log_dir=tmp_path), _Nobody())
    begun = datetime.datetime.now(datetime.UTC)
    made = runner._record(trial, begun, {"status": "load_failed"})
    expected = {key: value for key, value in SHEET.items() if key != "aliases"}
    assert made.environment.get(GPU_SHEET) == (expected if gpu == NAME else None)
