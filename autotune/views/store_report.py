"""``autotune report``: a study's landscapes, or the whole store's, as a page."""

from collections.abc import Sequence

from autotune.errors import UsageError, did_you_mean
from autotune.files import file_name
from autotune.schema.record import RunRecord
from autotune.views.landscapes import (
    FEWEST_CELLS,
    Landscape,
    irregularity,
    landscape_table,
    landscapes_of,
)
from autotune.views.pages.document import Block, Document, Figure

EVERYTHING = "all"
MOST_PANELS = 60


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
    from autotune.views.charts.png import landscape_grid

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
