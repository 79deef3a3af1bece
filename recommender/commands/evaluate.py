"""``autotune evaluate``: the backtest on a file of runs or on the store."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from autotune.catalog.gpus import remember_recorded_gpus
from autotune.catalog.recorded_models import remember_recorded
from autotune.errors import SurrogateError
from autotune.importers.run import read_file
from autotune.views.fitted_table import Column, FittedTable
from recommender.evaluation.backtest import evaluate
from recommender.evaluation.protocols import Protocol

_SHARES = ("regret_mean", "regret_median", "regret_max", "ape_median", "coverage90",
           "regret_bound90_median", "bound_coverage", "failed_choice_rate")  # fmt: skip
# The last is the first to go where a terminal is narrow.
_DROPPED = ("regret_mean", "ape_median", "coverage90", "regret_max", "failed_choice_rate",
            "groups", "regret_median", "regret_bound90_median", "bound_coverage",
            "interval_factor", "regret_next_mean", "protocol")  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """The rows of a backtest, and what to know about its data."""

    rows: list[dict[str, Any]]
    remarks: tuple[str, ...]


def evaluate_data(
    data: Path | None, tracking_uri: str, *, protocol: str, engine: str
) -> Evaluation:
    """Evaluate on the runs of a file, or of the store when ``data`` is ``None``."""
    remarks: tuple[str, ...] = ()
    if data is not None:
        file = read_file(data)
        records = file.records
        reasons = Counter(rejection.reason for rejection in file.rejected)
        remarks = tuple(f"{n} rows not read: {why}" for why, n in reasons.most_common())
    else:
        from autotune.store.tracking.store import Store

        records = Store(tracking_uri).read()
        if not records:
            raise SurrogateError("the store holds no runs; import some, or name a file by --data")
    remember_recorded(records)
    remarks = (*remarks, *remember_recorded_gpus(records))
    rows = evaluate(records, protocol=cast(Protocol, protocol), engine=engine)
    return Evaluation(rows=rows, remarks=remarks)


def evaluation_table(rows: Sequence[dict[str, Any]]) -> FittedTable:
    """Return the rows as a terminal table; shares in percent."""
    names = list(rows[0])
    table = FittedTable(
        [
            Column(
                name=name.replace("_", " "),
                is_number=name in _SHARES,
                priority=_DROPPED.index(name) + 1 if name in _DROPPED else 0,
            )
            for name in names
        ]
    )
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in names))
    return table


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if name in _SHARES and isinstance(value, int | float):
        return f"{value:.1%}"
    return str(value)
