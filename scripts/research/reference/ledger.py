"""The reference ledger: advice from published data alone, and what the measured landscapes say."""

import dataclasses
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from autotune.schema.record import RunRecord
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import Prediction, Predictor
from research.reference.landscapes import ReferenceLandscape
from research.reference.left_out import LeftOut
from research.reference.proof import Proof, prove
from research.reference.stopping import Stopping


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """A recommendation for a landscape measured in full, of whose model no run is known.

    Attributes:
        surrogate: Which one answered; it has learned from ``rows_used`` runs.
        known: Runs of other models, which it knew.
    """

    surrogate: str
    rows_used: int
    land: ReferenceLandscape
    made: Recommendation
    known: tuple[RunRecord, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return what was said, JSON-ready; throughputs in tok/s, ``low`` to ``high`` with 90 %."""
        return {
            "surrogate": self.surrogate,
            "rows_used": self.rows_used,
            "journal": self.land.name,
            **as_recommended(self.made),
        }


def speeds(prediction: Candidate | Prediction) -> dict[str, float]:
    """Return a throughput and its interval, JSON-ready; tok/s."""
    return {
        "output_throughput": round(prediction.output_throughput, 2),
        "low": round(prediction.low, 2),
        "high": round(prediction.high, 2),
    }


def as_recommended(made: Recommendation) -> dict[str, Any]:
    """Return a recommendation and the landscape behind it, JSON-ready; throughputs in tok/s."""
    query = made.query
    best, *landscape = (
        {
            "n_gpus": c.n_gpus,
            "batch_size": c.batch_size,
            **speeds(c),
        }
        for c in (made.best, *made.landscape)
    )
    return {
        "model": query.model,
        "engine": made.best.engine,
        "target_gpu": made.target_gpu,
        "input_len": query.workload.input_len,
        "output_len": query.workload.output_len,
        "dtype": query.dtype,
        "best": best,
        "landscape": landscape,
    }


def advise(
    name: str,
    predictor: Predictor,
    lands: Sequence[ReferenceLandscape],
    runs: Sequence[RunRecord] = (),
) -> list[Advice]:
    """Return the recommendation for each landscape.

    Args:
        runs: What is known; those of the landscape's own model are left out.
    """
    rows_used = int(predictor.meta.summary.get("rows_used", 0))
    return [
        Advice(
            surrogate=name,
            rows_used=rows_used,
            land=land,
            made=recommend(land.query(), predictor, known := land.evidence(runs)),
            known=tuple(known),
        )
        for land in lands
    ]


def settle(advice: Sequence[Advice], predictor: Predictor) -> list[Proof]:
    """Return what became of each recommendation of one surrogate."""
    return [prove(item.land, item.made, predictor, item.known) for item in advice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aim:
    """A figure of the ledger beside what it should be.

    Attributes:
        value: Over the landscapes, summarised as ``name`` says; ``None`` without any.
        target: The aim in words; ``is_met`` says whether ``value`` reaches it.
    """

    name: str
    value: float | None
    target: str
    is_met: bool | None


_Check = Callable[[float], bool]
_FEWER: Final = "times fewer GPU-minutes than restarting a grid"
_TEN_TIMES: Final[tuple[str, _Check]] = (">= 10", lambda v: v >= 10)
# Name, what of a proof, how it is summarised, the aim in words, whether a value reaches it.
_AIMS: Final[Sequence[tuple[str, Callable[[Proof], float | None], str, str, _Check]]] = (
    ("regret, 0 runs", lambda p: p.regret, "median", "<= 2 %", lambda v: v <= 0.02),
    ("regret, 0 runs", lambda p: p.regret, "mean", "<= 2 %", lambda v: v <= 0.02),
    ("regret, 3 runs", lambda p: p.regret_after, "median", "<= 0.5 %", lambda v: v <= 0.005),
    ("regret, 3 runs", lambda p: p.regret_after, "mean", "<= 0.5 %", lambda v: v <= 0.005),
    ("error before", lambda p: p.before.error, "median", "<= 15 %", lambda v: v <= 0.15),
    ("error after 3 runs", lambda p: p.after.error, "median", "<= 6 %", lambda v: v <= 0.06),
    (
        "coverage before",
        lambda p: p.before.coverage,
        "mean",
        "85-95 %",
        lambda v: 0.85 <= v <= 0.95,
    ),
    (
        "coverage after 3 runs",
        lambda p: p.after.coverage,
        "mean",
        "85-95 %",
        lambda v: 0.85 <= v <= 0.95,
    ),
    (
        "90 % regret bound held",
        lambda p: float(p.is_bound_held),
        "mean",
        ">= 90 %",
        lambda v: v >= 0.9,
    ),
    (_FEWER, lambda p: p.restarted_gpu_minutes / p.gpu_minutes, "median", *_TEN_TIMES),
)


def aims(proofs: Sequence[Proof]) -> list[Aim]:
    """Return the summary over landscapes, each figure beside its aim."""
    found = []
    for name, figure, how, target, check in _AIMS:
        values = [value for proof in proofs if (value := figure(proof)) is not None]
        summarise = statistics.median if how == "median" else statistics.fmean
        value = summarise(values) if values else None
        found.append(_aim(f"{name} ({how})", value, target, check))
    minutes = sum(proof.gpu_minutes for proof in proofs)
    restarted = sum(proof.restarted_gpu_minutes for proof in proofs)
    times = restarted / minutes if minutes else None
    found.append(_aim(f"{_FEWER} (all together)", times, *_TEN_TIMES))
    return found


def _aim(name: str, value: float | None, target: str, check: _Check) -> Aim:
    is_met = None if value is None else check(value)
    return Aim(name=name, value=value, target=target, is_met=is_met)


def to_dict(
    proofs: Mapping[str, Sequence[Proof]],
    left_out: Sequence[LeftOut] = (),
    stopping: Mapping[str, Sequence[Stopping]] | None = None,
) -> dict[str, Any]:
    """Return the whole ledger, JSON-ready.

    Args:
        proofs: Surrogate -> its proofs.
        stopping: Surrogate -> its confirmations that stop early.
    """
    return {
        "surrogates": {
            name: {
                "rows": [
                    dataclasses.asdict(p)
                    | {"is_covered": p.is_covered, "is_bound_held": p.is_bound_held}
                    for p in found
                ],
                "aims": [dataclasses.asdict(aim) for aim in aims(found)],
            }
            for name, found in proofs.items()
        },
        "stopping_early": {
            name: [dataclasses.asdict(item) for item in found]
            for name, found in (stopping or {}).items()
        },
        "leave_one_model_out": [dataclasses.asdict(item) for item in left_out],
    }
