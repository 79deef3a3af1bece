"""``autotune report``: a study's landscapes, or the whole store's, as a page."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from autotune.errors import UsageError, did_you_mean
from autotune.file_names import file_name
from autotune.schema.record import RunRecord
from autotune.views.irregularity import FEWEST_CELLS, irregularity, landscape_table
from autotune.views.landscapes import Landscape, landscapes_of
from autotune.views.pages.document import Block, Document, Figure
from autotune.views.pages.writing import Written, write_document
from autotune.views.study_report import study_document

EVERYTHING = "all"
MOST_PANELS = 60


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
            store.illustrate(str(run.info.run_id), written.files)
    return replace(written, summary=summary)


def everything_document(records: Sequence[RunRecord], *more: Block) -> Document:
    """Return the report of all runs: every landscape, its best, and how irregular it is."""
    lands = landscapes_of(records)
    return Document(
        title="All runs of the store",
        blocks=(irregularity(lands), landscape_table(lands), *draw_all(lands), *more),
    )


def select(records: Sequence[RunRecord], study: str) -> list[RunRecord]:
    """Return the records of a study.

    Raises:
        UsageError: When there are none; names the nearest.
    """
    chosen = [r for r in records if study in (EVERYTHING, r.session_id)]
    if not chosen:
        known = sorted({r.session_id for r in records if r.session_id})
        raise UsageError(
            f"the store holds no runs of {study!r}; name one of its {len(known)} studies, a "
            f"recommendation, or {EVERYTHING}.{did_you_mean(study, known)}"
        )
    return chosen


def draw_all(lands: Sequence[Landscape]) -> list[Figure]:
    """Draw one picture an engine and GPU, a panel a landscape of two cells or more.

    Of more than 60 landscapes the 60 with most cells are drawn; the picture says so.
    """
    from autotune.views.charts.grid import landscape_grid

    groups: dict[str, list[Landscape]] = {}
    for land in lands:
        if len(land.cells) >= FEWEST_CELLS:
            groups.setdefault(f"{land.engine}-{land.gpu}", []).append(land)
    return [
        Figure(
            name=f"landscapes-{file_name(name)}",
            chart=landscape_grid(_largest(group), n_all=len(group)),
        )
        for name, group in sorted(groups.items())
    ]


def _largest(group: Sequence[Landscape]) -> list[Landscape]:
    """Return the landscapes with most cells, in their order."""
    ranked = sorted(range(len(group)), key=lambda k: -len(group[k].cells))
    return [group[k] for k in sorted(ranked[:MOST_PANELS])]
