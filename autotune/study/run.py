"""``autotune run``: a study with its journal, its engines and its store."""

import contextlib
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.errors import InvalidConfigError
from autotune.runner.runner import RunnerSettings, Trial, TrialRunner
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Slo
from autotune.store.journal import open_journal
from autotune.store.location import default_uri, store_directory
from autotune.study.background_log import StoreLog
from autotune.study.fleet.study import FleetStudy
from autotune.study.loop import Study, new_session_id
from autotune.study.planning import plan
from autotune.study.result import StudyResult
from autotune.study.strategies import StrategyFactory, create_strategy
from autotune.views.display import create_progress

if TYPE_CHECKING:
    from autotune.store.tracking.store import Store
    from autotune.study.fleet.ray import RayFleet


def run_study(
    spec: StudySpec,
    *,
    journal: Path | None = None,
    resume: bool = False,
    tracking_uri: str | None = None,
    surrogate: StrategyFactory | None = None,
    fleet: str | None = None,
) -> StudyResult:
    """Run a study to its end and return everything its journal holds.

    Args:
        journal: Journal file. Given without ``tracking_uri``, MLflow is left out altogether (a
            GPU node needs none); otherwise the journal goes beside the store.
        resume: Go on with the journal.
        surrogate: Makes the strategy of that name.
        fleet: Address of the Ray cluster whose hosts measure, in the place of this one.

    Raises:
        AutotuneError: Before anything is started, for input that cannot run here.
    """
    if resume and journal is None:
        raise InvalidConfigError("--resume needs the --journal FILE to go on with")
    uri = None if journal is not None and tracking_uri is None else tracking_uri or default_uri()
    directory = journal.parent if journal is not None else store_directory(uri or default_uri())
    session_id = new_session_id()
    path = journal or directory / "journals" / f"{session_id}.jsonl"
    log_dir = directory / "logs"
    with contextlib.ExitStack() as stack:
        hosts = None if fleet is None else stack.enter_context(_fleet(fleet))
        planned = plan(spec) if hosts is None else hosts.plan(spec)
        strategy = create_strategy(spec, planned, surrogate)
        log = StoreLog(_open_store(uri), log_dir)
        opened = stack.enter_context(open_journal(path, resume=resume))
        study = (Study if hosts is None else FleetStudy)(
            spec,
            opened,
            planned=planned,
            strategy=strategy,
            session_id=session_id,
            on_record=lambda record: log.log([record]),
        )
        settings = runner_settings(spec, planned, session_id=study.session_id, log_dir=log_dir)
        completed = False
        try:
            _run(study, settings, log, hosts)
            completed = True
        finally:
            report = log.finish(_result(study, log, settings.slo), completed=completed)
    return dataclasses.replace(_result(study, log, settings.slo), report=report)


def _run(study: Study, settings: RunnerSettings, log: StoreLog, hosts: "RayFleet | None") -> None:
    path = study.journal.path
    if study.journal.torn is not None:
        log.remarks.append(f"a torn last line of {path} was set aside in {path}.torn")
    log.log(study.journal.records)
    with create_progress(settings.slo) as progress:
        if hosts is not None and isinstance(study, FleetStudy):
            hosts.measure_with(settings)
            study.run_on(hosts, progress)
        else:
            with TrialRunner(settings, progress) as runner:
                study.run(runner, progress)


def _result(study: Study, log: StoreLog, slo: Slo) -> StudyResult:
    return StudyResult(
        session_id=study.session_id,
        journal=study.journal.path,
        records=tuple(study.journal.records),
        remarks=(*study.remarks, *log.remarks),
        slo=slo,
    )


def runner_settings(
    spec: StudySpec, planned: Sequence[Trial], *, session_id: str, log_dir: Path
) -> RunnerSettings:
    """Return how a study's configurations are run."""
    return RunnerSettings(
        session_id=session_id,
        log_dir=log_dir,
        n_gpus=max(item.config.n_gpus for item in planned),
        policy=spec.policy,
        slo=spec.slo,
        purpose=spec.purpose,
        seed=spec.seed,
        start_timeout_s=spec.start_timeout_s,
        stall_timeout_s=spec.stall_timeout_s,
    )


def _fleet(address: str) -> contextlib.AbstractContextManager["RayFleet"]:
    from autotune.study.fleet.ray import fleet_at

    return fleet_at(address)


def _open_store(uri: str | None) -> "Store | None":
    if uri is None:
        return None
    from autotune.store.tracking.store import Store

    return Store(uri)
