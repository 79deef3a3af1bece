"""A model left out at a time: how one that was never seen is predicted, fitted anew and taught."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.schema.record import RunRecord
from recommender.surrogate.predictor import Predictor
from recommender.training import fit as surrogate
from recommender.training.refine import refine
from research.reference.landscapes import ReferenceLandscape
from research.reference.proof import Fit, fit_of


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """How a landscape of a model is predicted by surrogates that never saw a run of it.

    Attributes:
        anew: Fitted at once to published and reference runs; nothing known.
        taught: Fitted to the published runs, then taught the reference runs as ``autotune train``
            does; other models' reference runs known, as they are in the store.
    """

    journal: str
    model: str
    gpu: str
    input_len: int
    output_len: int
    anew: Fit
    taught: Fit


def leave_one_out(
    published: Sequence[RunRecord],
    lands: Sequence[ReferenceLandscape],
    measured: Sequence[RunRecord],
    *,
    seed: int = 0,
) -> list[LeftOut]:
    """Train on published and reference runs without one model at a time, and predict that.

    The model's runs on other GPUs are left out with it. Three fits a model.

    Args:
        measured: The reference runs that a store holds, of every mode.
    """
    return [
        left
        for model in sorted({land.rows[0].model for land in lands})
        for left in _without(model, published, lands, measured, seed)
    ]


def _without(
    model: str,
    published: Sequence[RunRecord],
    lands: Sequence[ReferenceLandscape],
    measured: Sequence[RunRecord],
    seed: int,
) -> list[LeftOut]:
    table = [run for run in published if run.model != model]
    rows = [row for land in lands for row in land.rows if row.model != model]
    anew = surrogate.fit([*table, *rows], seed=seed).predictor
    taught = _teach(table, [run for run in measured if run.model != model], seed)
    return [
        LeftOut(
            journal=land.name,
            model=model,
            gpu=land.rows[0].gpu,
            input_len=land.workload.input_len,
            output_len=land.workload.output_len,
            anew=fit_of(anew, land.rows),
            taught=fit_of(taught, land.rows, known=land.evidence(measured)),
        )
        for land in lands
        if land.rows[0].model == model
    ]


def _teach(table: Sequence[RunRecord], runs: Sequence[RunRecord], seed: int) -> Predictor:
    with tempfile.TemporaryDirectory() as directory:
        surrogate.fit(table, seed=seed).save(Path(directory))
        return refine(runs, Path(directory), seed=seed).predictor
