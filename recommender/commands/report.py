"""Pictures and reports for what was logged without: imported studies, recommendations of the past.

Logging many runs must be quick, so their pages are made when somebody is about to look at them.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from autotune.errors import UsageError
from autotune.files import file_name
from autotune.schema.record import RunRecord
from autotune.store.location import store_directory
from autotune.store.tracking.layout import study_id_of
from autotune.views.display import counting
from autotune.views.landscapes import (
    irregularity,
    landscapes_of,
)
from autotune.views.pages.document import Block, Document, section
from autotune.views.pages.writing import Written, write_document
from autotune.views.store_report import EVERYTHING, everything_document, select
from autotune.views.study_report import study_document
from recommender.commands.context import known_runs
from recommender.reports import ledger
from recommender.reports.charts import residual_figures
from recommender.reports.ledger_summary import Ledger, ledger_blocks, ledger_of
from recommender.reports.tracking import RECOMMENDATION, log_pending

if TYPE_CHECKING:
    from autotune.store.tracking.store import Store

MOST: Final = 40


def attach_reports(store: "Store", announce: Callable[[str], None], most: int = MOST) -> int:
    """Give the latest studies and recommendations that have no report one; return how many.

    Args:
        announce: Is told how many there are, before it takes its time.
    """
    waiting = [*_studies(store), *_recommendations(store)][:most]
    if waiting:
        announce(f"drawing the reports of {len(waiting)} runs that have none (about a second each)")
    with counting("drawing reports", len(waiting)) as advance:
        for make in waiting:
            make()
            advance()
    return len(waiting)


def attach_recommendation_report(store: "Store", recommendation_id: str) -> None:
    """Write a recommendation's report anew and put it, with its picture, into its run."""
    run_id = store.find_document(RECOMMENDATION, recommendation_id)
    if run_id is not None:
        document = recommendation_document(recommendation_id, store.uri)
        folder = store.directory / "reports" / recommendation_id
        store.attach_report(run_id, write_document(document, folder).files)


def recommendation_document(
    reference: str, tracking_uri: str, *, with_tpe: bool = False
) -> Document:
    """Return the report of a saved recommendation with what came of it since.

    Raises:
        InvalidConfigError: When there is no such recommendation.
    """
    from recommender.commands.explain import explain_recommendation
    from recommender.reports.document import advice_document

    explanation = explain_recommendation(reference, tracking_uri)
    known = known_runs(tracking_uri, explanation.recommendation.query.model)
    directory = store_directory(tracking_uri)
    return advice_document(explanation, known, directory, with_tpe=with_tpe)


def read_ledger(tracking_uri: str) -> Ledger:
    """Read the confirmations beside a store, and what the store knows of their landscapes.

    Raises:
        InvalidConfigError: When a confirmation's file is damaged.
    """
    runs_of = lru_cache(partial(known_runs, tracking_uri))
    return ledger_of(store_directory(tracking_uri), runs_of)


def _studies(store: "Store") -> Iterator[Callable[[], None]]:
    runs: dict[str, list[RunRecord]] = {}
    for record in store.cache.read() or store.read():
        if record.session_id is not None:
            runs.setdefault(study_id_of(record), []).append(record)
    for study_id, run_id in store.without_report("study"):
        if study_id in runs:
            yield partial(_attach_study_report, store, study_id, run_id, runs[study_id])


def _attach_study_report(
    store: "Store", study_id: str, run_id: str, records: Sequence[RunRecord]
) -> None:
    folder = store.directory / "reports" / study_id
    store.attach_report(run_id, write_document(study_document(study_id, records), folder).files)


def _recommendations(store: "Store") -> Iterator[Callable[[], None]]:
    kept = {path.stem for path in (store.directory / ledger.FOLDER).glob("*.json")}
    for recommendation_id, _ in store.without_report(RECOMMENDATION):
        if recommendation_id in kept:
            yield partial(attach_recommendation_report, store, recommendation_id)


def report(
    reference: str,
    tracking_uri: str,
    output: Path | None = None,
    *,
    is_live: bool = True,
    with_tpe: bool = False,
) -> Written:
    """Write a report and put it among the artifacts of what it is about.

    Args:
        reference: A study, a recommendation (id, file, or saved answer), or ``all``.
        output: A file (HTML or Markdown) or a folder; by default beside the store.
        is_live: Whether the HTML's charts can be opened as interactive ones.
        with_tpe: Whether a confirmation is drawn beside what Optuna's TPE would have reached.

    Raises:
        UsageError: When the store knows nothing of that name.
    """
    directory = store_directory(tracking_uri)
    if is_recommendation(reference, directory):
        document = recommendation_document(reference, tracking_uri, with_tpe=with_tpe)
        return _report_advice(document, reference, tracking_uri, output, is_live=is_live)

    if with_tpe:
        raise UsageError(
            f"--with-tpe: {reference} is no recommendation, whose runs TPE could rival"
        )

    def more(records: Sequence[RunRecord]) -> list[Block]:
        judged = section("What the surrogate would have said", *residual_figures(records))
        if reference != EVERYTHING:
            return judged
        return [*judged, *section("How the advice did", *ledger_blocks(read_ledger(tracking_uri)))]

    return report_study(reference, tracking_uri, output, more=more, is_live=is_live)


def is_recommendation(reference: str, directory: Path) -> bool:
    """Whether a recommendation is meant: the file of one, or the id of one kept there."""
    kept = directory / ledger.FOLDER / f"{Path(reference).name}.json"
    return Path(reference).is_file() or kept.is_file()


def _report_advice(
    document: Document, reference: str, tracking_uri: str, output: Path | None, *, is_live: bool
) -> Written:
    from autotune.store.tracking.store import Store

    directory = store_directory(tracking_uri)
    made = ledger.load(reference, directory)
    target = output or directory / "reports" / made.recommendation_id
    written = write_document(document, target, is_live=is_live)
    store = Store(tracking_uri)
    log_pending(store)
    run_id = store.find_document(RECOMMENDATION, made.recommendation_id)
    if run_id is not None:
        store.attach_report(run_id, written.files)
    return replace(written, summary=document.title)


def report_study(
    study: str,
    tracking_uri: str,
    output: Path | None = None,
    *,
    more: Callable[[Sequence[RunRecord]], Sequence[Block]] | None = None,
    is_live: bool = True,
) -> Written:
    """Write the report of one study (its session id) or of ``all``, and log it to the store.

    Args:
        output: A file (HTML or Markdown) or a folder; by default ``reports/STUDY`` beside the
            store.
        more: Returns further blocks for the study's runs.
        is_live: Whether the HTML's charts can be opened as interactive ones.

    Raises:
        UsageError: When the store holds no such study.
    """
    from autotune.store.tracking.store import Store

    store = Store(tracking_uri)
    records = select(store.read(), study)
    blocks = () if more is None else more(records)
    if study == EVERYTHING:
        document = everything_document(records, *blocks)
    else:
        document = study_document(study, records, *blocks)
    summary = irregularity(landscapes_of(records))
    written = write_document(
        document, output or store.directory / "reports" / file_name(study), is_live=is_live
    )
    if study == EVERYTHING:
        store.log_document(
            kind="report",
            name=f"report · {study}",
            document_id=f"{study}-{len(records)}",
            params={"study": study},
            metrics={"n_runs": float(len(records))},
            note=summary,
            artifacts=written.files,
        )
    else:
        run = store.find_study(study)
        if run is not None:
            store.attach_report(str(run.info.run_id), written.files)
    return replace(written, summary=summary)
