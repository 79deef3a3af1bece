"""``autotune report``: of a study, a recommendation, or everything that a store holds."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autotune.schema.record import RunRecord
from autotune.store.cache import store_directory
from autotune.views.pages.document import Block, section
from autotune.views.pages.writing import Written, write_document
from autotune.views.store_report import EVERYTHING, report_study
from recommender.reports import ledger
from recommender.reports.charts import residual_figures
from recommender.reports.document import advice_document
from recommender.reports.ledger_summary import advice_blocks
from recommender.reports.tracking import RECOMMENDATION, log_pending


def report(
    reference: str, tracking_uri: str, output: Path | None = None, *, is_live: bool = True
) -> Written:
    """Write a report and put it among the artifacts of what it is about.

    Args:
        reference: A study, a recommendation (id, file, or saved answer), or ``all``.
        output: A file (HTML or Markdown) or a folder; by default beside the store.
        is_live: Whether the HTML's charts can be opened as interactive ones.

    Raises:
        UsageError: When the store knows nothing of that name.
    """
    directory = store_directory(tracking_uri)
    if is_recommendation(reference, directory):
        return _report_advice(reference, tracking_uri, output, is_live=is_live)

    def more(records: Sequence[RunRecord]) -> list[Block]:
        judged = section("What the surrogate would have said", *residual_figures(records))
        if reference != EVERYTHING:
            return judged
        return [*judged, *section("How the advice did", *advice_blocks(tracking_uri))]

    return report_study(reference, tracking_uri, output, more=more, is_live=is_live)


def is_recommendation(reference: str, directory: Path) -> bool:
    """Whether a recommendation is meant: the file of one, or the id of one kept there."""
    kept = directory / ledger.FOLDER / f"{Path(reference).name}.json"
    return Path(reference).is_file() or kept.is_file()


def _report_advice(
    reference: str, tracking_uri: str, output: Path | None, *, is_live: bool
) -> Written:
    from autotune.store.tracking.store import Store

    directory = store_directory(tracking_uri)
    made = ledger.load(reference, directory)
    document = advice_document(reference, tracking_uri)
    target = output or directory / "reports" / made.recommendation_id
    written = write_document(document, target, is_live=is_live)
    store = Store(tracking_uri)
    log_pending(store)
    run_id = store.find_document(RECOMMENDATION, made.recommendation_id)
    if run_id is not None:
        store.illustrate(run_id, written.files)
    return replace(written, summary=document.title)
