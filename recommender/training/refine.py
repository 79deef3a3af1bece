"""Learn from the user's own runs on top of a surrogate that is there already.

Boosting goes on from the prior's trees in stages, the user's runs last: collections that the prior
learned from, then what others or other tools measured, then what ``autotune`` measured here. Each
stage holds anchors whose target is what was said of them before: configurations spread over the
catalogue and runs of the stages before. All anchors together weigh no more than the stage's runs,
so what was never run stays as it was and ten own runs count in full beside any number of others.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from autotune.errors import SurrogateError
from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE
from recommender.features.efficiency import CLASSES, classes_of
from recommender.features.encode import FEATURE_NAMES, encode_features
from recommender.features.table import Array, ConfigurationTable, collect
from recommender.surrogate.artifact import Evidence, SurrogateMeta
from recommender.surrogate.predictor import Predictor
from recommender.surrogate.trees import load_forest
from recommender.training import fit as surrogate
from recommender.training.anchors import anchors_for
from recommender.training.dataset import Dataset, prepare
from recommender.training.fit import FittedSurrogate
from recommender.training.fit_process import spanned
from recommender.training.folds import harness_effects

FEWEST_ROWS: Final = 5
STAGES: Final = ("collections", "others", "own")
# A residual beyond a factor e**1.5 says more about the harness than about the configuration.
RESIDUAL_CLIP: Final = 1.5
# The runs of the last stage against the trees' regularisation.
LAST_WEIGHT: Final = 2.0
# Trees that are not believed at all could not learn anything.
LEAST_SHRINKAGE: Final = 0.25


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
    prior = load_prior(prior_directory)
    parts = stages(data, prior.predictor.meta)
    base, before = groundwork(prior, list(parts.values()), seed=seed)
    taught = teach(base, list(parts.values())[-1], before, seed=seed)
    summary = {
        "rows_given": len(records),
        "rows_used": len(data.records),
        "rows_used_by_stage": {name: len(part.records) for name, part in parts.items()},
        "set_aside": dict(data.set_aside),
        "prior_rows": prior.training_summary.get("rows_used"),
    }
    meta = dataclasses.replace(taught.predictor.meta, summary=summary)
    return dataclasses.replace(
        taught,
        predictor=dataclasses.replace(taught.predictor, meta=meta),
        training_summary=summary,
    )


def load_prior(directory: Path) -> FittedSurrogate:
    """Return a saved surrogate, ready to be taught.

    Raises:
        SurrogateError: When a file is missing or damaged.
    """
    predictor = Predictor.load(directory)
    return FittedSurrogate(
        booster=surrogate.load_booster(directory),
        predictor=predictor,
        feature_names=FEATURE_NAMES,
        training_summary=predictor.meta.summary,
    )


def stages(data: Dataset, prior: SurrogateMeta) -> dict[str, Dataset]:
    """Return the rows of each stage that has any, in the order of STAGES."""
    learned = {key.rpartition("|")[0] for key in prior.source_effects}
    stage = np.array(
        [2 if r.source == OWN_SOURCE else 0 if r.source in learned else 1 for r in data.records],
        dtype=np.int64,
    )
    return {name: data.take(stage == k) for k, name in enumerate(STAGES) if (stage == k).any()}


def groundwork(
    prior: FittedSurrogate, parts: Sequence[Dataset], *, seed: int = 0
) -> tuple[FittedSurrogate, list[RunRecord]]:
    """Return the surrogate after all stages but the last, and the rows it was taught."""
    taught, before = prior, list[RunRecord]()
    for part in parts[:-1]:
        taught = teach(taught, part, before, is_last=False, seed=seed)
        before += part.records
    return taught, before


def teach(
    taught: FittedSurrogate,
    data: Dataset,
    before: Sequence[RunRecord],
    *,
    is_last: bool = True,
    seed: int = 0,
) -> FittedSurrogate:
    """Return the surrogate after one more stage.

    Args:
        data: The stage's rows. The last stage is believed in full; before it the level of each
            source is taken off and the trees are believed as far as those of the prior.
        before: Rows that were taught before; some of them are anchors.
    """
    old = taught.predictor.meta
    meta = dataclasses.replace(
        old,
        shrinkage=_believed(old, data),
        evidence=_union(old.evidence, spanned(data)),
    )
    anchors = collect(anchors_for(data.records, before, seed))
    features = np.vstack((encode_features(data.inputs), encode_features(anchors)))
    label = np.concatenate(
        (_wanted(taught.predictor, meta, data, is_last), _said(taught, meta, anchors))
    )
    own = data.weight * (LAST_WEIGHT if is_last else 1.0)
    weight = np.concatenate((own, np.full(len(anchors), float(own.sum()) / len(anchors))))
    # Every row once more without its engine version: a question need not name one.
    booster = surrogate.go_on(
        taught.booster,
        features=np.vstack((features, _without_version(features))),
        label=np.concatenate((label, label)),
        weight=np.concatenate((weight, weight)) / 2,
        seed=seed,
    )
    forest = load_forest(surrogate.trees_of(booster))
    return dataclasses.replace(
        taught, booster=booster, predictor=Predictor(forest=forest, meta=meta)
    )


def _without_version(features: Array) -> Array:
    plain = features.copy()
    plain[:, FEATURE_NAMES.index("version")] = np.nan
    return plain


def _believed(prior: SurrogateMeta, data: Dataset) -> dict[str, float]:
    """Return the shrinkage by class, no smaller than the least where there are rows to learn."""
    present = {CLASSES[k] for k in np.unique(classes_of(data.inputs))}
    return {
        name: max(share, LEAST_SHRINKAGE) if name in present else share
        for name, share in prior.shrinkage.items()
    }


def _shares(meta: SurrogateMeta, inputs: ConfigurationTable) -> Array:
    return np.array([meta.shrinkage[name] for name in CLASSES])[classes_of(inputs)]


def _wanted(prior: Predictor, meta: SurrogateMeta, data: Dataset, is_last: bool) -> Array:
    """Return what the trees should say of a stage's runs, given how far they are believed."""
    prediction = prior.prior(data.inputs)
    residual = data.log_throughput - np.log(prediction.roofline.throughput)
    shares = _shares(meta, data.inputs)
    if not is_last:
        apart = data.log_throughput - prediction.log_throughput
        residual -= harness_effects(data, apart, prediction.classes)[
            data.source, prediction.classes
        ]
        shares = np.ones(len(residual))
    wanted: Array = np.clip(residual, -RESIDUAL_CLIP, RESIDUAL_CLIP) / shares
    return wanted


def _said(taught: FittedSurrogate, meta: SurrogateMeta, anchors: ConfigurationTable) -> Array:
    """Return what the trees said of anchors, as it reads under the new shrinkage."""
    trees: Array = taught.booster.inplace_predict(encode_features(anchors))
    before, now = _shares(taught.predictor.meta, anchors), _shares(meta, anchors)
    return np.where(now > 0, trees * before / np.maximum(now, LEAST_SHRINKAGE), trees)


def _union(first: Evidence, second: Evidence) -> Evidence:
    def join(a: Any, b: Any) -> dict[str, tuple[str, ...]]:
        return {key: tuple(sorted({*a.get(key, ()), *b.get(key, ())})) for key in {*a, *b}}

    return Evidence(gpus=join(first.gpus, second.gpus), models=join(first.models, second.models))
