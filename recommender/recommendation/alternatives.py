"""What else would pay: smaller formats of weights and cache, by the surrogate's own prediction."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.compatibility import DTYPE_BYTES, canonical_dtype, how_it_runs
from autotune.catalog.gpus import GpuSpec
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.decision.acquisition import deviation
from recommender.recommendation.candidates import Candidate, configuration_of
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.plans import count_gpus
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import rank, score
from recommender.surrogate.predictor import Predictor, correlation

_NORMAL_95: Final = 1.6449
# In the order in which they are told.
_CHANGES: Final[Sequence[Mapping[str, str]]] = (
    {"quantization": "fp8"},
    {"kv_cache_dtype": "fp8"},
    {"quantization": "fp8", "kv_cache_dtype": "fp8"},
    {"quantization": "awq"},
)
_WORDS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "quantization=fp8": "fp8 weights",
        "kv_cache_dtype=fp8": "fp8 KV cache",
        "quantization=awq": "int4 weights (an AWQ checkpoint)",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """One change of format, and the best plan near the recommended one with it.

    Attributes:
        change: Field of the query -> its other value.
        gain: Share of the objective that it brings, with its 90 % interval ``gain_low`` to
            ``gain_high``: of the ratio, as the two err together.
        memory_freed_gb: Of the fullest GPU at the recommended batch size and split, 2**30 bytes.
        native: Whether the GPU computes in the format; else it only stores it.
        remark: What is not in the figures.
    """

    change: Mapping[str, str]
    best: Candidate
    gain: float
    gain_low: float
    gain_high: float
    memory_freed_gb: float
    native: bool
    remark: str

    @property
    def name(self) -> str:
        """The change in words."""
        return " and ".join(_WORDS[f"{name}={value}"] for name, value in self.change.items())

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            **{f.name: getattr(self, f.name) for f in dataclasses.fields(self)},
            "change": dict(self.change),
            "best": self.best.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Alternative":
        """Read what ``to_dict`` wrote."""
        return cls(**{**data, "best": Candidate.from_dict(data["best"])})


def alternatives(
    query: Query,
    profile: ModelProfile,
    gpu: GpuSpec,
    best: Candidate,
    predictor: Predictor,
    known: Sequence[RunRecord],
) -> list[Alternative]:
    """Return what changes of format would bring near the recommended plan.

    Asked of are the split and the batch size of the best, half and twice of each: a smaller format
    moves the optimum by that much. Only what the engine runs on the GPU is there.
    """
    changes = [change for change in _CHANGES if _is_open(change, query, profile, gpu, best)]
    groups = [_near(_changed(query, change), gpu, best) for change in changes]
    questions = [question for group in groups for question in group]
    found = iter(evaluate_candidates(questions, predictor, known, query))
    near = [[_Near(question, next(found)) for question in group] for group in groups]
    tried = [(change, group) for change, group in zip(changes, near, strict=True) if _runs(group)]
    firsts = [_first(group, query) for _, group in tried]
    here = configuration_of(query, gpu.name, best.engine, best.n_gpus, best.batch_size)
    together = correlation(predictor, [here, *(first.configuration for first in firsts)], known)
    return [
        _alternative(query, gpu, best, change, group, first.candidate, float(together[0, i]))
        for i, ((change, group), first) in enumerate(zip(tried, firsts, strict=True), start=1)
    ]


class _Near(NamedTuple):
    configuration: Configuration
    candidate: Candidate


def _runs(group: Sequence[_Near]) -> bool:
    return any(near.candidate.is_feasible for near in group)


def _first(group: Sequence[_Near], query: Query) -> _Near:
    feasible = [near.candidate for near in group if near.candidate.is_feasible]
    first = rank(feasible, query)[0]
    return next(near for near in group if near.candidate is first)


def _is_open(
    change: Mapping[str, str], query: Query, profile: ModelProfile, gpu: GpuSpec, best: Candidate
) -> bool:
    """Whether a change is one: the engine runs it there, and it makes something smaller."""
    if best.engine != "vllm" or any(getattr(query, k) == v for k, v in change.items()):
        return False
    if "quantization" in change:
        own = query.quantization or (profile.dtype if query.dtype == "auto" else query.dtype)
        if DTYPE_BYTES[canonical_dtype(own)] < DTYPE_BYTES["bfloat16"]:
            return False
        if how_it_runs(change["quantization"], gpu) is None:
            return False
    # A cache in fp8 is read as fast as it is small only where the units take fp8.
    return "kv_cache_dtype" not in change or how_it_runs("fp8", gpu) == "native"


def _changed(query: Query, change: Mapping[str, str]) -> Query:
    return dataclasses.replace(
        query,
        quantization=change.get("quantization", query.quantization),
        kv_cache_dtype=change.get("kv_cache_dtype", query.kv_cache_dtype),
    )


def _near(query: Query, gpu: GpuSpec, best: Candidate) -> list[Configuration]:
    splits = {n for n in (best.n_gpus, best.n_gpus // 2) if n >= 1}
    batches = {best.batch_size // 2, best.batch_size, best.batch_size * 2}
    return [
        configuration_of(query, gpu.name, best.engine, n_gpus, batch)
        for n_gpus in sorted(splits)
        for batch in sorted(batches)
        if 1 <= batch <= query.max_batch_size
    ]


def _alternative(
    query: Query,
    gpu: GpuSpec,
    best: Candidate,
    change: Mapping[str, str],
    group: Sequence[_Near],
    first: Candidate,
    correlated: float,
) -> Alternative:
    place = (best.n_gpus, best.batch_size)
    same = next(c for _, c in group if (c.n_gpus, c.batch_size) == place)
    ratio = math.log(score(first, query.objective) / score(best, query.objective))
    half = _NORMAL_95 * _deviation_of_ratio(best, first, correlated)
    native = how_it_runs(change.get("quantization", "fp8"), gpu) == "native"
    return Alternative(
        change=dict(change),
        best=first,
        gain=math.expm1(ratio),
        gain_low=math.expm1(ratio - half),
        gain_high=math.expm1(ratio + half),
        memory_freed_gb=best.memory_gb - same.memory_gb,
        native=native,
        remark=_remark(best, first, is_native=native),
    )


def _deviation_of_ratio(one: Candidate, other: Candidate, correlated: float) -> float:
    """Return the deviation of the log of a ratio: what both err alike falls out."""
    first, second = deviation(one), deviation(other)
    return math.sqrt(max(first**2 + second**2 - 2 * correlated * first * second, 0.0))


def _remark(best: Candidate, other: Candidate, *, is_native: bool) -> str:
    texts = ["" if is_native else "it saves memory, not time", "quality is not measured here"]
    if other.n_gpus < best.n_gpus:
        texts.insert(0, f"{count_gpus(other.n_gpus)} a replica would do")
    return "; ".join(text for text in texts if text)
