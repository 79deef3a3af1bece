"""The findings of arXiv 2408.01050 recomputed from records: RQ3 and RQ4.

RQ4's gain of re-tuning, per model at 5 new tokens: the best on the target over the target's
throughput at the origin's best configuration, minus 1, in percent. The origin's best is taken among
the configurations that came to a throughput on both GPUs.
"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from autotune.errors import InvalidRecordError
from autotune.importers.readers.published.infpop_labels import GPUS
from autotune.schema.record import RunRecord
from autotune.views.landscapes import Cell, Landscape, best_cell, landscapes_of

NEW_TOKENS: Final = 5
# the optimiser offered 1024 where 1028 was measured
ODD_BATCH: Final = 1028
# from here on the paper's plot of RQ4 drops a model, percent
PLOT_LIMIT: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Direction:
    """A change of GPU that the paper reports on.

    Attributes:
        published: The paper's mean gain, percent, by how it is counted.
        without_odd_batch: Whether the published number leaves batch 1028 out.
        results: The file of the paper's optimiser runs.
    """

    engine: str
    name: str
    origin: str
    target: str
    published: float
    published_all: float
    without_odd_batch: bool
    results: str


_A100, _V100 = GPUS["a100"], GPUS["tesla"]
DIRECTIONS: Final = (
    Direction(engine="hf", name="upgrade", origin=_V100, target=_A100, published=9.164,
              published_all=28.358, without_odd_batch=False,
              results="results_hpo_autohf_from_tesla_to_a100.json"),
    Direction(engine="hf", name="downgrade", origin=_A100, target=_V100, published=13.669,
              published_all=13.669, without_odd_batch=False,
              results="results_hpo_autohf_from_a100_to_tesla.json"),
    Direction(engine="vllm", name="upgrade", origin=_V100, target=_A100, published=3.306,
              published_all=3.306, without_odd_batch=True,
              results="results_hpo_vLLM_from_tesla_to_a100.json"),
    Direction(engine="vllm", name="downgrade", origin=_A100, target=_V100, published=6.899,
              published_all=6.899, without_odd_batch=False,
              results="results_hpo_vLLM_from_a100_to_tesla.json"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Gain:
    """What re-tuning one model brings.

    Attributes:
        kept: The origin's best configuration, served on.
        best: The target's best configuration.
        percent: Gain of the best over the kept one on the target.
    """

    model: str
    kept: Cell
    best: Cell
    percent: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuEffect:
    """RQ3 for one engine: what another GPU changes, over models measured on both.

    Attributes:
        same_best: Models with the same best configuration on both.
        ratio: Median over shared configurations of A100 / V100 throughput.
        best_ratio: Median over models of the best on the A100 / the best on the V100.
    """

    engine: str
    models: int
    same_best: int
    ratio: float
    best_ratio: float


def paper_landscapes(records: Sequence[RunRecord], *, with_suspect: bool) -> list[Landscape]:
    """Return the landscapes of 5 new tokens, as the paper draws them."""
    wanted = [record for record in records if record.output_len == NEW_TOKENS]
    return landscapes_of(wanted, with_suspect=with_suspect)


def retuning_gain(model: str, origin: Mapping[Cell, float], target: Mapping[Cell, float]) -> Gain:
    """Return RQ4's gain of one model.

    >>> retuning_gain("m", {(1, 8): 50.0, (2, 8): 90.0}, {(1, 8): 40.0, (2, 8): 32.0}).percent
    25.0

    Raises:
        ValueError: When no configuration ran on both GPUs.
    """
    kept = best_cell({cell: value for cell, value in origin.items() if cell in target})
    best = best_cell(target)
    if kept is None or best is None:
        raise ValueError(f"{model}: no configuration ran on both GPUs")
    percent = 100 * (target[best] - target[kept]) / target[kept]
    return Gain(model=model, kept=kept, best=best, percent=percent)


def gains(lands: Sequence[Landscape], direction: Direction) -> list[Gain]:
    """Return the gain of each model that has a configuration that ran on both GPUs.

    Raises:
        InvalidRecordError: When there is no such model.
    """
    found = []
    origins = _cells(lands, direction.engine, direction.origin)
    targets = _cells(lands, direction.engine, direction.target)
    for model in sorted(set(origins) & set(targets)):
        origin, target = (
            {
                cell: value
                for cell, value in side[model].items()
                if not (direction.without_odd_batch and cell[1] == ODD_BATCH)
            }
            for side in (origins, targets)
        )
        if set(origin) & set(target):
            found.append(retuning_gain(model, origin, target))
    if not found:
        raise InvalidRecordError(
            f"no model ran with {direction.engine} on both {direction.origin} and "
            f"{direction.target} at {NEW_TOKENS} new tokens: RQ4 needs the whole replication folder"
        )
    return found


def plotted(found: Sequence[Gain]) -> list[Gain]:
    """Return the gains that the paper's plot keeps."""
    return [gain for gain in found if gain.percent < PLOT_LIMIT]


def mean_percent(found: Sequence[Gain]) -> float:
    """Return the mean gain over models, percent."""
    return statistics.fmean(gain.percent for gain in found)


def gpu_effect(lands: Sequence[Landscape], engine: str) -> GpuEffect:
    """Return RQ3 for an engine."""
    fast, slow = _cells(lands, engine, _A100), _cells(lands, engine, _V100)
    models = [m for m in sorted(set(fast) & set(slow)) if fast[m] and slow[m]]
    ratios = [fast[m][c] / slow[m][c] for m in models for c in set(fast[m]) & set(slow[m])]
    return GpuEffect(
        engine=engine,
        models=len(models),
        same_best=sum(best_cell(fast[m]) == best_cell(slow[m]) for m in models),
        ratio=statistics.median(ratios),
        best_ratio=statistics.median(max(fast[m].values()) / max(slow[m].values()) for m in models),
    )


def _cells(lands: Sequence[Landscape], engine: str, gpu: str) -> dict[str, dict[Cell, float]]:
    return {
        land.model: dict(land.cells) for land in lands if (land.engine, land.gpu) == (engine, gpu)
    }
