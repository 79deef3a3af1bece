"""What it costs, and saves, to stop confirming once the certificate's bound is low enough."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import Predictor
from research.reference.gpu_time import confirmation_gpu_s, grid_gpu_s
from research.reference.landscapes import ReferenceLandscape
from research.reference.proof import ROUNDING, RUNS

STOP_REGRETS: Final = (0.0, 0.02, 0.05, 0.1)

# A landscape, what was recommended for it, and the runs of other models known then.
Case = tuple[ReferenceLandscape, Recommendation, Sequence[RunRecord]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopping:
    """Confirmations of at most three runs that stop at a bound, over landscapes.

    Attributes:
        stop_regret: The bound, as ``confirm`` takes it; 0 spends all runs.
        runs, regret: Means; the regret is 1 - tok/s of the winner / best measured.
        held: Share of the winners that are as near to the best as their certificates say.
        median_times_fewer: GPU-minutes of restarting a grid over ours, the median landscape's;
            ``times_fewer`` of all together.
    """

    stop_regret: float
    runs: float
    regret: float
    held: float
    median_times_fewer: float
    times_fewer: float


def stop_early(
    cases: Sequence[Case],
    predictor: Predictor,
    stop_regrets: Sequence[float] = STOP_REGRETS,
) -> list[Stopping]:
    """Confirm each recommendation by replay, once a bound to stop at.

    Raises:
        InvalidConfigError: When a landscape holds none of its configurations.
        ValueError: When every confirmatory run of one failed, or there is no case.
    """
    if not cases:
        raise ValueError("no landscape to stop early on")
    return [_stopped(cases, predictor, stop_regret) for stop_regret in stop_regrets]


def _stopped(cases: Sequence[Case], predictor: Predictor, stop_regret: float) -> Stopping:
    runs, regrets, held, ours, grids = [], [], [], [], []
    for land, made, known in cases:
        replay = Replay(land.rows)
        done = confirm(made, replay, predictor, known, runs=RUNS, stop_regret=stop_regret)
        if done.winner is None or done.certificate is None:
            raise ValueError(f"{land.title}: every confirmatory run failed")
        regret = land.regret((done.winner.n_gpus, done.winner.batch_size)) or 0.0
        runs.append(len(done.runs))
        regrets.append(regret)
        held.append(regret <= done.certificate.regret_bound90 + ROUNDING)
        ours.append(confirmation_gpu_s(land, done))
        grids.append(grid_gpu_s(land, is_restarted=True))
    return Stopping(
        stop_regret=stop_regret,
        runs=statistics.fmean(runs),
        regret=statistics.fmean(regrets),
        held=statistics.fmean(held),
        median_times_fewer=statistics.median(g / o for g, o in zip(grids, ours, strict=True)),
        times_fewer=sum(grids) / sum(ours),
    )
