"""What a prediction rests on: the user's nearest runs, and what the surrogate has learned from."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from autotune.errors import UnknownGpuError, UnknownModelError
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.spec_sheets import gpu_of, model_of
from recommender.surrogate.artifact import SurrogateMeta
from recommender.surrogate.evidence import gather
from recommender.surrogate.gaussian_process import covariance
from recommender.surrogate.predictor import Predictor, family

_OF_A_RUN: Final = (
    "engine",
    "engine_version",
    "gpu",
    "n_gpus",
    "batch_size",
    "input_len",
    "output_len",
    "mode",
    "output_throughput",
    "started_at",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Neighbour:
    """A measured run near a configuration.

    Attributes:
        similarity: Correlation of the two prediction errors, 0 to 1, as the calibration has it.
    """

    run: RunRecord
    similarity: float

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"similarity": self.similarity, **{k: getattr(self.run, k) for k in _OF_A_RUN}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the surrogate learned from for one engine and mode.

    Attributes:
        gpus, models: The nearest by spec sheet and by size, nearest first.
        has_gpu, has_model: Whether the very GPU, the very model are among them.
    """

    gpus: tuple[str, ...]
    models: tuple[str, ...]
    n_gpus: int
    n_models: int
    has_gpu: bool
    has_model: bool


def nearest_measured(
    predictor: Predictor,
    configurations: Sequence[Configuration],
    known: Sequence[RunRecord],
    *,
    n_runs: int = 3,
) -> list[list[Neighbour]]:
    """Return for each configuration the known runs that say most about it, nearest first."""
    knowledge = gather(configurations, known)
    runs = [knowledge.runs[i] for i in knowledge.measured]
    cells = knowledge.run_cells.take(knowledge.measured)
    found = []
    for row in range(len(configurations)):
        hyper = predictor.meta.hyper[family(knowledge.inputs, row)]
        mine = knowledge.cells.take(np.array([row]))
        own = float(covariance(hyper, mine, mine)[0, 0])
        shared = covariance(hyper, mine, cells)[0] / own if runs else np.zeros(0)
        order = np.argsort(-shared, kind="stable")[:n_runs]
        found.append(
            [Neighbour(run=runs[i], similarity=float(shared[i])) for i in order if shared[i] > 0]
        )
    return found


def learned_from(
    meta: SurrogateMeta, engine: str, mode: str, gpu: str, model: str, *, n_names: int = 3
) -> Evidence:
    """Return the surrogate's evidence for an engine and mode, nearest to a GPU and a model."""
    key = f"{engine}/{mode}"
    gpus, models = meta.evidence.gpus.get(key, ()), meta.evidence.models.get(key, ())
    return Evidence(
        gpus=_nearest(gpus, gpu, _gpu_numbers)[:n_names],
        models=_nearest(models, model, _model_numbers)[:n_names],
        n_gpus=len(gpus),
        n_models=len(models),
        has_gpu=gpu in gpus,
        has_model=model in models,
    )


def _gpu_numbers(name: str) -> tuple[float, ...]:
    spec = gpu_of(name)
    return (spec.bandwidth_gbs, spec.fp16_tflops, spec.memory_gb)


def _model_numbers(name: str) -> tuple[float, ...]:
    profile = model_of(name)
    return (profile.n_params, profile.n_active_params)


def _nearest(
    names: Sequence[str], to: str, numbers: Callable[[str], tuple[float, ...]]
) -> tuple[str, ...]:
    """Order names by the distance of their numbers' logarithms; names not known here come last."""
    wanted = numbers(to)

    def distance(name: str) -> float:
        try:
            found = numbers(name)
        except (UnknownGpuError, UnknownModelError):
            return math.inf
        return math.dist([math.log(x) for x in found], [math.log(x) for x in wanted])

    return tuple(sorted(names, key=lambda name: (distance(name), name)))
