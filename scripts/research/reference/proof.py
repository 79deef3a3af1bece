"""Advice held against a landscape that was measured in full: one row of the reference ledger."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import Predictor
from research.reference.gpu_time import confirmation_gpu_s, grid_gpu_s, tpe_search
from research.reference.landscapes import ReferenceLandscape

RUNS: Final = 3
SOURCE_GPU: Final = "A100-80GB"
TPE_SEEDS: Final = 20
ROUNDING: Final = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """How predictions met the measured runs that they did not know.

    Attributes:
        error: Median of |predicted / measured - 1|.
        coverage: Share of the runs inside their 90 % interval.
    """

    error: float
    coverage: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What became of one recommendation. Throughputs in tok/s, regrets 1 - tok/s / best measured.

    Attributes:
        batch_size: Recommended, on ``n_gpus``; with ``predicted``, ``low`` and ``high`` (90 %).
        realised: What it brought; ``None`` where that was not measured, as ``regret`` then is.
        kept_regret: Of the configuration that is predicted to be the best on the source GPU.
        winner_batch_size: After the confirmatory runs, on ``winner_n_gpus``; with ``regret_after``
            and its ``regret_bound90``.
        before: Of all configurations, nothing known.
        after: Of those not run, the confirmatory runs known.
        gpu_minutes: Of the confirmatory runs with their engine starts.
        grid_gpu_minutes: Of measuring everything with one engine start a GPU count;
            ``restarted_gpu_minutes`` with one a configuration.
        tpe_runs: Of Optuna's TPE until it is as good, as ``tpe_gpu_minutes``; means over seeds.
    """

    journal: str
    engine: str
    model: str
    gpu: str
    weights: str
    input_len: int
    output_len: int
    configurations: int
    n_gpus: int
    batch_size: int
    predicted: float
    low: float
    high: float
    realised: float | None
    regret: float | None
    kept_regret: float | None
    winner_n_gpus: int
    winner_batch_size: int
    regret_after: float
    regret_bound90: float
    before: Fit
    after: Fit
    gpu_minutes: float
    grid_gpu_minutes: float
    restarted_gpu_minutes: float
    tpe_runs: float
    tpe_gpu_minutes: float

    @property
    def is_covered(self) -> bool | None:
        """Whether the recommended configuration brought what its interval says."""
        return None if self.realised is None else self.low <= self.realised <= self.high

    @property
    def is_bound_held(self) -> bool:
        """Whether the winner was as near to the best as its certificate says."""
        return self.regret_after <= self.regret_bound90 + ROUNDING


def fit_of(
    predictor: Predictor,
    rows: Sequence[RunRecord],
    run: Sequence[RunRecord] = (),
    known: Sequence[RunRecord] = (),
) -> Fit:
    """Return how the predictions meet the completed rows that were not run.

    Args:
        run: Those of them that were.
        known: Runs of other models.
    """
    tried = {(row.n_gpus, row.batch_size) for row in run}
    rest = [r for r in rows if r.is_measured and (r.n_gpus, r.batch_size) not in tried]
    predictions = predictor.predict([row.configuration for row in rest], [*known, *run])
    pairs = [(p, row.output_throughput or 0.0) for p, row in zip(predictions, rest, strict=True)]
    return Fit(
        error=statistics.median(abs(p.output_throughput / real - 1) for p, real in pairs),
        coverage=statistics.fmean(p.low <= real <= p.high for p, real in pairs),
    )


def prove(
    land: ReferenceLandscape,
    made: Recommendation,
    predictor: Predictor,
    known: Sequence[RunRecord] = (),
) -> Proof:
    """Confirm a recommendation by replay and hold it against the whole landscape.

    Args:
        made: The recommendation for the landscape's query, made with this known and no more.
        known: Runs of other models.

    Raises:
        InvalidConfigError: When the landscape holds none of its configurations.
        ValueError: When every confirmatory run failed.
    """
    done = confirm(made, Replay(land.rows), predictor, known, runs=RUNS)
    if done.winner is None or done.certificate is None:
        raise ValueError(f"{land.title}: every confirmatory run failed")
    winner = (done.winner.n_gpus, done.winner.batch_size)
    reached = land.throughput(winner) or 0.0
    searches = [tpe_search(land, reached, seed) for seed in range(TPE_SEEDS)]
    best = made.best
    cell = (best.n_gpus, best.batch_size)
    return Proof(
        journal=land.name,
        engine=best.engine,
        model=made.query.model,
        gpu=made.target_gpu,
        weights=land.weights,
        input_len=land.workload.input_len,
        output_len=land.workload.output_len,
        configurations=len(land.rows),
        n_gpus=best.n_gpus,
        batch_size=best.batch_size,
        predicted=best.output_throughput,
        low=best.low,
        high=best.high,
        realised=land.throughput(cell),
        regret=land.regret(cell),
        kept_regret=kept_regret(land, predictor, known),
        winner_n_gpus=done.winner.n_gpus,
        winner_batch_size=done.winner.batch_size,
        regret_after=1 - reached / land.best,
        regret_bound90=done.certificate.regret_bound90,
        before=fit_of(predictor, land.rows, known=known),
        after=fit_of(predictor, land.rows, [run.record for run in done.runs], known),
        gpu_minutes=confirmation_gpu_s(land, done) / 60,
        grid_gpu_minutes=grid_gpu_s(land, is_restarted=False) / 60,
        restarted_gpu_minutes=grid_gpu_s(land, is_restarted=True) / 60,
        tpe_runs=statistics.fmean(runs for runs, _ in searches),
        tpe_gpu_minutes=statistics.fmean(seconds for _, seconds in searches) / 60,
    )


def kept_regret(
    land: ReferenceLandscape,
    predictor: Predictor,
    known: Sequence[RunRecord] = (),
    source_gpu: str = SOURCE_GPU,
) -> float | None:
    """Return the regret of keeping what is predicted to be the best on another GPU.

    ``None`` where nothing runs there, or where the target was not measured so.
    """
    keep = recommend(land.query(source_gpu), predictor, known).keep_source
    return None if keep is None else land.regret((keep.n_gpus, keep.batch_size))
