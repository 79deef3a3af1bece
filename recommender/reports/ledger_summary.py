"""How the advice did: every confirmed recommendation, what was predicted and what came of it."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from autotune.errors import InvalidConfigError
from autotune.schema.record import RunRecord
from autotune.views.charts.judgement import PredictedPoint, predicted_and_measured
from autotune.views.pages.document import Block, Figure
from recommender.reports import ledger
from recommender.reports.ledger import Entry, entry_of

LEDGER: Final = "ledger"
WINDOW: Final = 10
_NOTHING = "No recommendation was confirmed yet: `autotune confirm ID` confirms one."
_HEAD = (
    "| confirmed | model | GPU | engine, GPUs x batch | predicted | 90 % interval | realised "
    "| error | inside | regret | runs | winner's regret | bound |\n"
    "|---|---|---|---|--:|---|--:|--:|---|--:|--:|--:|--:|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """All confirmed recommendations of a store, the oldest first."""

    entries: tuple[Entry, ...]

    def totals(self, last: int | None = None) -> dict[str, float | int | None]:
        """Return error, coverage and regret over the last entries, or over all."""
        chosen = self.entries[-last:] if last else self.entries
        errors = [abs(e.error) for e in chosen if e.error is not None]
        inside = [float(e.is_inside) for e in chosen if e.is_inside is not None]
        bounded = [
            float(e.winner_regret <= e.regret_bound90)
            for e in chosen
            if e.winner_regret is not None and e.regret_bound90 is not None
        ]
        return {
            "confirmed": len(chosen),
            "ape_median": _of(statistics.median, errors),
            "coverage90": _of(statistics.fmean, inside),
            "regret_mean": _of(statistics.fmean, [e.regret for e in chosen]),
            "winner_regret_mean": _of(statistics.fmean, [e.winner_regret for e in chosen]),
            "bound_coverage": _of(statistics.fmean, bounded),
        }

    @property
    def markdown(self) -> str:
        """Two sentences and a table; one sentence when nothing was confirmed."""
        if not self.entries:
            return _NOTHING
        sentences = [_sentence("All", self.totals())]
        if len(self.entries) > WINDOW:
            sentences.append(_sentence("The last", self.totals(WINDOW)))
        return "\n".join([" ".join(sentences), "", _HEAD, *map(_line, self.entries)])

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "entries": [asdict(entry) for entry in self.entries],
            "all": self.totals(),
            f"last_{WINDOW}": self.totals(WINDOW),
        }


def ledger_of(directory: Path, runs_of: Callable[[str], Sequence[RunRecord]]) -> Ledger:
    """Return the confirmations written under a store's directory.

    Args:
        runs_of: Returns the runs known of a model.

    Raises:
        InvalidConfigError: When a confirmation's file is damaged.
    """
    entries = []
    for document in ledger.load_confirmations(directory):
        try:
            made = ledger.load(document["recommendation_id"], directory)
        except InvalidConfigError:
            made = None
        entries.append(entry_of(document, made, runs_of(document["model"])))
    return Ledger(entries=tuple(entries))


def ledger_blocks(kept: Ledger) -> list[Block]:
    """Return the ledger as blocks of a store's report."""
    points = [
        PredictedPoint(
            engine=entry.engine,
            name=f"{entry.model} on {entry.n_gpus} x {entry.target_gpu}",
            predicted=entry.predicted,
            low=entry.low,
            high=entry.high,
            measured=entry.realised,
        )
        for entry in kept.entries
        if entry.realised is not None
    ]
    if not points:
        return [kept.markdown]
    chart = predicted_and_measured(points, title="Recommended configurations, confirmed")
    return [kept.markdown, Figure(name="advice", chart=chart)]


def _of(mean: Any, values: Sequence[float | None]) -> float | None:
    given = [value for value in values if value is not None]
    return float(mean(given)) if given else None


def _sentence(which: str, totals: Mapping[str, float | int | None]) -> str:
    return (
        f"{which} {totals['confirmed']} confirmed recommendations: median error "
        f"{_share(totals['ape_median'])}, {_share(totals['coverage90'])} inside the 90 % interval; "
        f"mean regret {_share(totals['regret_mean'])} as recommended, "
        f"{_share(totals['winner_regret_mean'])} after the runs, "
        f"{_share(totals['bound_coverage'])} of the certificates held."
    )


def _line(entry: Entry) -> str:
    realised = "failed" if entry.realised is None else f"{entry.realised:,.1f}"
    inside = {None: "-", True: "yes", False: "no"}[entry.is_inside]
    error = "-" if entry.error is None else f"{entry.error:+.1%}"
    return (
        f"| {entry.confirmed} | {entry.model.rpartition('/')[2]} | {entry.target_gpu} "
        f"| {entry.engine}, {entry.n_gpus} x {entry.batch_size} | {entry.predicted:,.1f} "
        f"| {entry.low:,.1f} - {entry.high:,.1f} | {realised} | {error} | {inside} "
        f"| {_share(entry.regret)} | {entry.runs} | {_share(entry.winner_regret)} "
        f"| {_share(entry.regret_bound90)} |"
    )


def _share(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.1%}"
