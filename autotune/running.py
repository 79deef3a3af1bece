"""``autotune run``: a study with its journal, its engines and its store."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.bench import Bench, BenchSettings
from autotune.cache import default_uri, store_directory
from autotune.errors import InvalidConfigError
from autotune.journal import open_journal
from autotune.progress import create_progress
from autotune.search import StrategyFactory, create_strategy
from autotune.spec import Slo, StudySpec
from autotune.store_log import StoreLog
from autotune.study import Planned, Study, new_session_id, plan
from autotune.study_result import StudyResult

if TYPE_CHECKING:
    from autotune.tracking import Store


def run_study(
    spec: StudySpec,
    *,
    journal: Path | None = None,
    resume: bool = False,
    tracking_uri: str | None = None,
    surrogate: StrategyFactory | None = None,
) -> StudyResult:
    """Run a study to its end and return everything its journal holds.

    Args:
        journal: Journal file. Given without ``tracking_uri``, MLflow is left out altogether (a
            GPU node needs none); otherwise the journal goes beside the store.
        resume: Go on with the journal.
        surrogate: Makes the strategy of that name.

    Raises:
        AutotuneError: Before anything is started, for input that cannot run here.
    """
    if resume and journal is None:
        raise InvalidConfigError("--resume needs the --journal FILE to go on with")
    uri = None if journal is not None and tracking_uri is None else tracking_uri or default_uri()
    directory = journal.parent if journal is not None else store_directory(uri or default_uri())
    session_id = new_session_id()
    path = journal or directory / "journals" / f"{session_id}.jsonl"
    planned = plan(spec)
    strategy = create_strategy(spec, planned, surrogate)
    log_dir = directory / "logs"
    log = StoreLog(_open_store(uri), log_dir)
    with open_journal(path, resume=resume) as opened:
        study = Study(spec, opened, planned=planned, strategy=strategy, session_id=session_id)
        settings = bench_settings(spec, planned, session_id=study.session_id, log_dir=log_dir)
        completed = False
        try:
            _run(study, settings, log)
            completed = True
        finally:
            log.finish(_result(study, log, settings.slo), completed=completed)
    return _result(study, log, settings.slo)


def _run(study: Study, settings: BenchSettings, log: StoreLog) -> None:
    path = study.journal.path
    if study.journal.torn is not None:
        log.remarks.append(f"a torn last line of {path} was set aside in {path}.torn")
    log.log(study.journal.records)
    progress = create_progress(lambda record: log.log([record]), settings.slo)
    with progress, Bench(settings, progress) as bench:
        study.run(bench, progress)


def _result(study: Study, log: StoreLog, slo: Slo) -> StudyResult:
    return StudyResult(
        session_id=study.session_id,
        journal=study.journal.path,
        records=tuple(study.journal.records),
        remarks=(*study.remarks, *log.remarks),
        slo=slo,
    )


def bench_settings(
    spec: StudySpec, planned: Sequence[Planned], *, session_id: str, log_dir: Path
) -> BenchSettings:
    """Return how a study's configurations are run."""
    return BenchSettings(
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


def _open_store(uri: str | None) -> "Store | None":
    if uri is None:
        return None
    from autotune.tracking import Store

    return Store(uri)
