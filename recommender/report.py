"""How the advice did: every confirmed recommendation, what was predicted and what came of it."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from autotune.cache import store_directory
from autotune.errors import InvalidConfigError
from autotune.landscape_report import Section
from autotune.records import Configuration, RunRecord
from recommender import ledger
from recommender.candidates import Candidate, cell
from recommender.context import known_runs
from recommender.recommend import Recommendation, score

LEDGER: Final = "ledger"
WINDOW: Final = 10
_NOTHING = "No recommendation was confirmed yet: `autotune confirm ID` confirms one."
_HEAD = (
    "| confirmed | model | GPU | engine, GPUs x batch | predicted | 90 % interval | realised "
    "| error | inside | regret | runs | winner's regret | bound |\n"
    "|---|---|---|---|--:|---|--:|--:|---|--:|--:|--:|--:|"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One confirmed recommendation. Throughputs in tokens/s, the rest in shares.

    Attributes:
        predicted: When it was recommended, with ``low`` and ``high`` (90 %).
        realised: Of the recommended configuration; ``None`` where its run failed, as ``error``
            (realised / predicted - 1) and ``is_inside`` then are.
        regret: 1 - recommended / the best measured configuration that the store knows of the
            landscape, by the recommendation's objective; ``None`` when that is not known any more.
        winner_regret: The same of the winner; ``regret_bound90`` is what its certificate promised.
    """

    confirmed: str
    recommendation_id: str
    model: str
    target_gpu: str
    engine: str
    n_gpus: int
    batch_size: int
    predicted: float
    low: float
    high: float
    realised: float | None
    error: float | None
    is_inside: bool | None
    regret: float | None
    runs: int
    winner_regret: float | None
    regret_bound90: float | None


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


def read_ledger(tracking_uri: str) -> Ledger:
    """Read the confirmations beside a store, and what the store knows of their landscapes.

    Raises:
        InvalidConfigError: When a confirmation's file is damaged.
    """
    directory = store_directory(tracking_uri)
    runs: dict[str, Sequence[RunRecord]] = {}
    entries = []
    for document in ledger.load_confirmations(directory):
        model = document["model"]
        if model not in runs:
            runs[model] = known_runs(tracking_uri, model)
        try:
            made = ledger.load(document["recommendation_id"], directory)
        except InvalidConfigError:
            made = None
        entries.append(entry_of(document, made, runs[model]))
    return Ledger(entries=tuple(entries))


def advice_section(tracking_uri: str) -> Section:
    """Return the ledger as a section of a store's report."""
    kept = read_ledger(tracking_uri)

    def draw(folder: Path) -> list[Path]:
        from recommender.ledger_plot import predicted_and_realised

        shown = [entry for entry in kept.entries if entry.realised is not None]
        return [predicted_and_realised(shown, folder / "advice.png")] if shown else []

    return Section(text=f"## How the advice did\n\n{kept.markdown}", draw=draw)


def entry_of(
    document: Mapping[str, Any], made: Recommendation | None, known: Sequence[RunRecord]
) -> Entry:
    """Return a confirmation's line.

    Args:
        made: The recommendation, while its file is there.
        known: Runs of the model that the store holds, those of the confirmation among them.
    """
    first = document["runs"][0]
    run = Candidate(**first["predicted"])
    told = made.best if made is not None and _is_same(made.best, run) else run
    realised = first["measured"]["output_throughput"] if first["error"] is not None else None
    worth = {} if made is None else _worth(made)
    known_cells = [(cell(r), r.output_throughput) for r in known if r.is_measured and not r.suspect]
    values = [worth[c] * (y or 0.0) for c, y in known_cells if c in worth]
    best = max(values, default=None)
    winner = document["winner"]
    certificate = document["certificate"]
    return Entry(
        confirmed=document["session_id"],
        recommendation_id=document["recommendation_id"],
        model=document["model"],
        target_gpu=document["target_gpu"],
        engine=run.engine,
        n_gpus=run.n_gpus,
        batch_size=run.batch_size,
        predicted=told.output_throughput,
        low=told.low,
        high=told.high,
        realised=realised,
        error=None if realised is None else realised / told.output_throughput - 1,
        is_inside=None if realised is None else told.low <= realised <= told.high,
        regret=_regret(made, run, realised or 0.0, best),
        runs=len(document["runs"]),
        winner_regret=None
        if winner is None
        else _regret(made, Candidate(**winner), winner["output_throughput"], best),
        regret_bound90=None if certificate is None else certificate["regret_bound90"],
    )


def _worth(made: Recommendation) -> dict[tuple[object, ...], float]:
    """Return what a token/s of each configuration considered is worth in the objective."""
    query = made.query
    return {
        cell(
            Configuration(
                engine=candidate.engine,
                model=query.model,
                gpu=made.target_gpu,
                n_gpus=candidate.n_gpus,
                batch_size=candidate.batch_size,
                input_len=query.workload.input_len,
                output_len=query.workload.output_len,
                mode=query.workload.mode,
                quantization=query.quantization,
            )
        ): _per_token(candidate, query.objective)
        for candidate in made.landscape
    }


def _per_token(candidate: Candidate, objective: str) -> float:
    return score(candidate, objective) / candidate.output_throughput


def _regret(
    made: Recommendation | None, candidate: Candidate, realised: float, best: float | None
) -> float | None:
    if made is None or not best:
        return None
    return max(1 - _per_token(candidate, made.query.objective) * realised / best, 0.0)


def _is_same(one: Candidate, other: Candidate) -> bool:
    return (one.engine, one.n_gpus, one.batch_size) == (
        other.engine,
        other.n_gpus,
        other.batch_size,
    )


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
