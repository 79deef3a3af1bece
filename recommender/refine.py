"""Learn from the user's own runs on top of a surrogate that is there already.

Boosting goes on from the prior's trees. Anchors, configurations spread over the catalogue whose
target is what the prior says of them, keep what the user never ran as it was; they weigh no more
than the user's runs together, so these can never be drowned.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from autotune.errors import SurrogateError
from autotune.gpus import load_gpus
from autotune.models import catalogue_names
from autotune.records import Configuration, RunRecord
from recommender import surrogate
from recommender.dataset import Dataset, prepare
from recommender.efficiency import CLASSES
from recommender.facts import Array, collect
from recommender.features import FEATURE_NAMES, encode_facts
from recommender.lessons import spanned
from recommender.meta import Evidence
from recommender.predictor import Predictor
from recommender.surrogate import FittedSurrogate
from recommender.trees import load_forest

FEWEST_ROWS: Final = 5
N_ANCHORS: Final = 512
_ENGINES: Final = ("vllm", "hf")
# A residual beyond a factor e**1.5 says more about the harness than about the configuration.
RESIDUAL_CLIP: Final = 1.5


def refine(
    records: Sequence[RunRecord], prior_directory: Path, *, seed: int = 0
) -> FittedSurrogate:
    """Return the prior, taught by the records.

    Raises:
        SurrogateError: When fewer than five measured rows can be learned from.
    """
    data = prepare(records)
    if len(data.records) < FEWEST_ROWS:
        raise SurrogateError(
            f"only {len(data.records)} of {len(records)} runs can be learned from, at least "
            f"{FEWEST_ROWS} are needed (set aside: {dict(data.set_aside)}); run a study first"
        )
    prior = Predictor.load(prior_directory)
    booster = surrogate.load_booster(prior_directory)
    own = encode_facts(data.facts)
    anchors = encode_facts(collect(anchor_configurations(seed, data.records)))
    label = np.concatenate((_wanted(prior, data), booster.inplace_predict(anchors)))
    weight = np.concatenate((data.weight, _anchor_weight(data)))
    features = np.vstack((own, anchors))
    # Every row once more without its engine version: a question need not name one.
    refined = surrogate.go_on(
        booster,
        features=np.vstack((features, _without_version(features))),
        label=np.concatenate((label, label)),
        weight=np.concatenate((weight, weight)) / 2,
        seed=seed,
    )
    summary = _summary(data, len(records), prior)
    meta = dataclasses.replace(
        prior.meta, evidence=_union(prior.meta.evidence, spanned(data)), summary=summary
    )
    forest = load_forest(surrogate.trees_of(refined))
    return FittedSurrogate(
        booster=refined,
        predictor=Predictor(forest=forest, meta=meta),
        feature_names=FEATURE_NAMES,
        training_summary=summary,
    )


def anchor_configurations(seed: int, own: Sequence[RunRecord]) -> list[Configuration]:
    """Return configurations drawn over models, GPUs, engines, GPU counts and batch sizes.

    They carry the engine versions of the user's own runs, or the trees would tell the two apart by
    that alone.
    """
    rng = np.random.default_rng(seed)
    versions = {
        engine: sorted({r.engine_version for r in own if r.engine == engine and r.engine_version})
        for engine in _ENGINES
    }
    models, gpus = catalogue_names(), list(load_gpus())
    return [
        Configuration(
            engine=engine,
            engine_version=versions[engine][rng.integers(len(versions[engine]))]
            if versions[engine]
            else None,
            model=models[rng.integers(len(models))],
            gpu=gpus[rng.integers(len(gpus))],
            n_gpus=int(2 ** rng.integers(4)),
            batch_size=int(2 ** rng.integers(11)),
            input_len=int(2 ** rng.integers(5, 12)),
            output_len=int(2 ** rng.integers(3, 10)),
        )
        for engine in (_ENGINES[rng.integers(2)] for _ in range(N_ANCHORS))
    ]


def _without_version(features: Array) -> Array:
    plain = features.copy()
    plain[:, FEATURE_NAMES.index("version")] = np.nan
    return plain


def _wanted(prior: Predictor, data: Dataset) -> Array:
    """Return what the trees should say of the user's runs, given how far they are believed."""
    said = prior.prior(data.facts)
    shares = np.array([prior.meta.shrinkage[name] for name in CLASSES])[said.classes]
    residual = np.clip(
        data.log_throughput - np.log(said.roofline.throughput), -RESIDUAL_CLIP, RESIDUAL_CLIP
    )
    wanted: Array = residual / shares
    return wanted


def _anchor_weight(data: Dataset) -> Array:
    weight: Array = np.full(N_ANCHORS, float(data.weight.sum()) / N_ANCHORS)
    return weight


def _union(first: Evidence, second: Evidence) -> Evidence:
    def join(a: Any, b: Any) -> dict[str, tuple[str, ...]]:
        return {key: tuple(sorted({*a.get(key, ()), *b.get(key, ())})) for key in {*a, *b}}

    return Evidence(gpus=join(first.gpus, second.gpus), models=join(first.models, second.models))


def _summary(data: Dataset, n_given: int, prior: Predictor) -> dict[str, Any]:
    return {
        "rows_given": n_given,
        "rows_used": len(data.records),
        "set_aside": dict(data.set_aside),
        "prior_rows": prior.meta.summary.get("rows_used"),
    }
