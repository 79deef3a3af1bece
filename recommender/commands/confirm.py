"""``autotune confirm``: runs on this host or from a file, journalled, logged, written down."""

import contextlib
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from autotune.catalog.gpus import detect_gpus, remember_recorded_gpus
from autotune.errors import InvalidConfigError, StoreError
from autotune.importers.run import read_file
from autotune.runner.runner import RunnerSettings
from autotune.schema.record import RunRecord
from autotune.schema.workload import MeasurePolicy
from autotune.store.journal import open_journal
from autotune.store.location import store_directory
from autotune.study.loop import new_session_id
from autotune.views.display import create_progress
from autotune.views.progress import StudyProgress
from recommender.commands.context import open_context
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Device, LocalDevice, Replay, here, in_fleet
from recommender.confirmation.result import Confirmation
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.tracking import log_pending


class Budget(NamedTuple):
    """How many runs to spend, and the bound on regret under which to stop before."""

    runs: int
    stop_regret: float


def confirm_by_replay(
    reference: str, replay: Path, tracking_uri: str, *, runs: int = 3, stop_regret: float = 0.0
) -> Confirmation:
    """Confirm a recommendation with a file of recorded runs, and log the outcome."""
    records = read_file(replay).records
    return confirm_by_records(reference, records, tracking_uri, runs=runs, stop_regret=stop_regret)


def confirm_by_records(
    reference: str,
    records: Sequence[RunRecord],
    tracking_uri: str,
    *,
    runs: int = 3,
    stop_regret: float = 0.0,
) -> Confirmation:
    """Confirm a recommendation with recorded runs, and log the outcome."""
    recommendation = ledger.load(reference, store_directory(tracking_uri))
    budget = Budget(runs, stop_regret)
    remarks = remember_recorded_gpus(records)
    made = _confirm(recommendation, Replay(records), tracking_uri, budget, new_session_id())
    return dataclasses.replace(made, remarks=(*remarks, *made.remarks)) if remarks else made


def confirm_here(
    reference: str,
    tracking_uri: str,
    *,
    runs: int = 3,
    stop_regret: float = 0.0,
    policy: MeasurePolicy | None = None,
    knobs: Mapping[str, Mapping[str, Any]] | None = None,
    fleet: str | None = None,
) -> Confirmation:
    """Confirm a recommendation with runs on this host, and log the outcome.

    Args:
        knobs: Engine -> further engine arguments.
        fleet: Address of a Ray cluster that has the target GPU, in the place of this host.

    Raises:
        InvalidConfigError: When this host is not the recommendation's target.
        FleetError: When no host of the fleet is.
    """
    directory = store_directory(tracking_uri)
    recommendation = ledger.load(reference, directory)
    session_id = new_session_id()
    settings = RunnerSettings(
        session_id=session_id,
        log_dir=directory / "logs",
        n_gpus=len(detect_gpus()),
        policy=policy or MeasurePolicy(),
        purpose="confirm",
    )
    with contextlib.ExitStack() as stack:
        progress = stack.enter_context(create_progress())
        if fleet is None:
            place = stack.enter_context(here(recommendation, settings, progress))
        else:
            place = stack.enter_context(in_fleet(fleet, recommendation, settings))
        progress.study_started(session_id, runs, 0)
        device = LocalDevice(
            recommendation,
            place.runner,
            n_gpus=place.n_gpus,
            engines=place.engines,
            model=place.model,
            knobs=knobs or {},
        )
        budget = Budget(runs, stop_regret)
        return _confirm(recommendation, device, tracking_uri, budget, session_id, progress)


def _confirm(
    recommendation: Recommendation,
    device: Device,
    tracking_uri: str,
    budget: Budget,
    session_id: str,
    progress: StudyProgress | None = None,
) -> Confirmation:
    query = recommendation.query
    context = open_context(query.deployed, tracking_uri, query.like)
    path = context.directory / "journals" / f"{session_id}.jsonl"
    with open_journal(path, resume=False) as journal:

        def keep(record: Any) -> None:
            journal.append(record)
            if progress is not None:
                progress.trial_finished(record)

        try:
            confirmation = confirm(
                recommendation,
                device,
                context.predictor,
                context.evidence(recommendation.target_gpu, query.engines),
                runs=budget.runs,
                stop_regret=budget.stop_regret,
                on_run=keep,
            )
        finally:
            records = list(journal.records)
    confirmation = dataclasses.replace(confirmation, remarks=context.remarks)
    document = {**confirmation.to_dict(), "session_id": session_id}
    ledger.save_confirmation(document, context.directory)
    try:
        _log(tracking_uri, records, recommendation.recommendation_id)
    except (StoreError, ModuleNotFoundError) as error:
        remark = (
            f"the runs are in {path} alone ({error}); `autotune sync {path}` logs them once the "
            "store is back, on another host too"
        )
        return dataclasses.replace(confirmation, remarks=(*context.remarks, remark))
    return confirmation


def _log(tracking_uri: str, records: list[Any], recommendation_id: str) -> None:
    from autotune.store.tracking.store import Store
    from recommender.commands.report import attach_recommendation_report

    store = Store(tracking_uri)
    # the confirmation's run first: it is the parent of the runs
    log_pending(store)
    store.log(records)
    store.finish_imported(records)
    attach_recommendation_report(store, recommendation_id)


def knobs_by_engine(knobs: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Sort ``{"vllm.enforce_eager": True}`` by engine.

    Raises:
        InvalidConfigError: For a knob without an engine in front.
    """
    sorted_: dict[str, dict[str, Any]] = {}
    for name, value in knobs.items():
        engine, dot, knob = name.partition(".")
        if not dot:
            raise InvalidConfigError(f"knob {name!r}: say for which engine, as in vllm.{name}")
        sorted_.setdefault(engine, {})[knob] = value
    return sorted_
