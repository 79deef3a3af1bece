"""RQ2 of arXiv 2408.01050: its published tables beside the records, cell by cell."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.importers.readers.published.infpop import ENGINES, MODELS
from autotune.importers.readers.published.infpop_labels import GPUS, ROUNDING, read_tables
from autotune.views.landscapes import Landscape


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCheck:
    """RQ2's tables beside the records, cell by cell.

    Attributes:
        compared: Cells with a throughput in either.
        differing: (table's GPU, model, engine, GPUs, batch) beyond the tables' rounding.
        bests: (model, engine, GPU, GPUs) whose best batch size was compared.
        bests_differing: Of these, whose best is another (to the tables' rounding).
    """

    compared: int
    differing: tuple[str, ...]
    bests: int
    bests_differing: tuple[str, ...]


def check_tables(lands: Sequence[Landscape], folder: Path) -> TableCheck:
    """Compare the landscapes with the published RQ2 tables of a folder, both ways."""
    ours: dict[tuple[str, str, str, int, int], float] = {
        (land.gpu, land.model, land.engine, *cell): value
        for land in lands
        for cell, value in land.cells.items()
    }
    theirs = {
        (GPUS[name], MODELS[model], ENGINES[engine], n_gpus, batch): value
        for name, table in read_tables(folder).items()
        for (model, engine, n_gpus, batch), value in table.items()
    }
    keys = sorted(set(ours) | set(theirs))
    sweeps = sorted({key[:4] for key in keys})
    return TableCheck(
        compared=len(keys),
        differing=tuple(_name(k) for k in keys if not _agree(ours.get(k), theirs.get(k))),
        bests=len(sweeps),
        bests_differing=tuple(_name(s) for s in sweeps if not _same_best(s, ours, theirs)),
    )


def _agree(one: float | None, other: float | None) -> bool:
    return one is not None and other is not None and abs(one - other) <= ROUNDING


def _same_best(
    sweep: tuple[str, str, str, int],
    ours: Mapping[tuple[str, str, str, int, int], float],
    theirs: Mapping[tuple[str, str, str, int, int], float],
) -> bool:
    """Return whether our fastest batch size is one of the table's fastest, which are rounded."""
    mine = {key: value for key, value in ours.items() if key[:4] == sweep}
    table = {key: value for key, value in theirs.items() if key[:4] == sweep}
    top = max(mine, key=lambda key: mine[key], default=None)
    return top is not None and top in table and table[top] == max(table.values())


def _name(key: Sequence[str | int]) -> str:
    return " ".join(str(part) for part in key)
