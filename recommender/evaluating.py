"""``autotune evaluate``: the backtest on a file of runs or on the store."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from rich.table import Table

from autotune.errors import SurrogateError
from autotune.importing import read_file
from autotune.local_models import remember_recorded
from recommender.evaluate import evaluate
from recommender.protocols import Protocol

_SHARES = ("regret_mean", "regret_median", "regret_max", "ape_median", "coverage90",
           "failed_choice_rate")  # fmt: skip


def evaluate_data(
    data: Path | None, tracking_uri: str, *, protocol: str, engine: str
) -> list[dict[str, Any]]:
    """Evaluate on the runs of a file, or of the store when ``data`` is ``None``."""
    if data is not None:
        records = read_file(data).records
    else:
        from autotune.tracking import Store

        records = Store(tracking_uri).read()
        if not records:
            raise SurrogateError("the store holds no runs; import some, or name a file by --data")
    remember_recorded(records)
    return evaluate(records, protocol=cast(Protocol, protocol), engine=engine)


def evaluation_table(rows: Sequence[dict[str, Any]]) -> Table:
    """Return the rows as a terminal table; shares in percent."""
    table = Table()
    names = list(rows[0])
    for name in names:
        table.add_column(name.replace("_", " "), justify="right" if name in _SHARES else "left")
    for row in rows:
        table.add_row(*(_cell(name, row[name]) for name in names))
    return table


def _cell(name: str, value: object) -> str:
    if value is None:
        return "-"
    if name in _SHARES and isinstance(value, int | float):
        return f"{value:.1%}"
    return str(value)
