"""Pictures and reports for what was logged without: imported studies, recommendations of the past.

Logging many runs must be quick, so their pages are made when somebody is about to look at them.
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final

from autotune.schema.record import RunRecord
from autotune.store.tracking.layout import study_id_of
from autotune.store.tracking.store import Store
from autotune.views.pages.writing import write_document
from autotune.views.progress import counting
from autotune.views.study_report import study_document
from recommender.reports import ledger
from recommender.reports.document import advice_document
from recommender.reports.tracking import RECOMMENDATION

MOST: Final = 40


def illustrate(store: Store, announce: Callable[[str], None], most: int = MOST) -> int:
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


def illustrate_advice(store: Store, recommendation_id: str) -> None:
    """Write a recommendation's report anew and put it, with its picture, into its run."""
    run_id = store.find_document(RECOMMENDATION, recommendation_id)
    if run_id is not None:
        document = advice_document(recommendation_id, store.uri)
        folder = store.directory / "reports" / recommendation_id
        store.illustrate(run_id, write_document(document, folder).files)


def _studies(store: Store) -> Iterator[Callable[[], None]]:
    runs: dict[str, list[RunRecord]] = {}
    for record in store.cache.read() or store.read():
        if record.session_id is not None:
            runs.setdefault(study_id_of(record), []).append(record)
    for study_id, run_id in store.without_report("study"):
        if study_id in runs:
            yield partial(_illustrate_study, store, study_id, run_id, runs[study_id])


def _illustrate_study(
    store: Store, study_id: str, run_id: str, records: Sequence[RunRecord]
) -> None:
    folder = store.directory / "reports" / study_id
    store.illustrate(run_id, write_document(study_document(study_id, records), folder).files)


def _recommendations(store: Store) -> Iterator[Callable[[], None]]:
    kept = {path.stem for path in (store.directory / ledger.FOLDER).glob("*.json")}
    for recommendation_id, _ in store.without_report(RECOMMENDATION):
        if recommendation_id in kept:
            yield partial(illustrate_advice, store, recommendation_id)
