"""A small study, run here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.runner.runner import TrialRunner
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import EngineConfig
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import MeasurePolicy, Workload
from autotune.store.journal import open_journal
from autotune.study.loop import Study
from autotune.study.planning import plan
from autotune.study.run import runner_settings
from autotune.study.strategies import create_strategy

ONCE = MeasurePolicy(min_repeats=1, max_repeats=1)


class Follower:
    """Notes everything that a study tells."""

    def __init__(self) -> None:
        self.n_done = 0
        self.starts: list[EngineConfig] = []
        self.trials: list[Configuration] = []
        self.finished: list[RunRecord] = []

    def study_started(self, session_id: str, n_trials: int, n_done: int) -> None:
        self.n_done = n_done

    def engine_starting(self, config: EngineConfig) -> None:
        self.starts.append(config)

    def trial_started(self, configuration: Configuration) -> None:
        self.trials.append(configuration)

    def pass_finished(self, event: Mapping[str, Any]) -> None:
        pass

    def trial_finished(self, record: RunRecord) -> None:
        self.finished.append(record)

    def trials_left(self, n_trials: int) -> None:
        pass

    def remark(self, text: str) -> None:
        pass


def study_spec(model: Path, **changes: Any) -> StudySpec:
    values: dict[str, Any] = {
        "model": str(model),
        "engines": ("hf",),
        "batch_sizes": (1, 2, 4),
        "workloads": (Workload(input_len=16, output_len=4),),
        "policy": ONCE,
        "exhaustive": True,
    }
    return StudySpec(**(values | changes))


def run(spec: StudySpec, path: Path, follower: Follower) -> list[RunRecord]:
    """Run what remains of a study; return the whole journal."""
    planned = plan(spec)
    strategy = create_strategy(spec, planned)
    with open_journal(path, resume=True) as journal:
        study = Study(spec, journal, planned=planned, strategy=strategy, session_id="test")
        settings = runner_settings(spec, planned, session_id="test", log_dir=path.parent / "logs")
        with TrialRunner(settings, follower) as bench:
            study.run(bench, follower)
        return journal.records
