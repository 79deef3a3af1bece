"""Will it run? Memory arithmetic, sharpened by failures that were seen.

The probability is logistic in the log of demand over room. Hugging Face needs room for the whole
batch beside the weights (what does not fit of these goes to the host, and leaves little room);
the other engines need room for one sequence and let the rest wait. Known outcomes of the model
shift the curve, and rule: what failed, fails with fewer GPUs, a larger batch, longer sequences or
less memory; what ran, runs with more.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.record import RunRecord
from recommender.features.placement import gap_gb, outside_bytes
from recommender.features.table import Array, ConfigurationTable

_GB: Final = 2.0**30
_LOGIT_BYTES: Final = 4.0
_LEAST_ROOM_GB: Final = 0.05
_OVERFLOW: Final = 5.0
_MOST_OVERFLOW: Final = 2.0
_RAN: Final = 0.99
_RAN_ELSEWHERE: Final = 0.9
_FAILED_ELSEWHERE: Final = 0.02
_CONTESTED: Final = 0.25
_LOGIT_COPIES: Final = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
_PRIOR_SD: Final = np.array([3.0, 2.0, 2.0])
_SHIFT_SD: Final = 2.0
_NEWTON_STEPS: Final = 40
# Early pipelines hold far more a sequence than the arithmetic says; of today's none was published.
_FAMILIES: Final = ("early_hf", "hf", "other")


Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Feasibility:
    """Logistic coefficients by engine family, shape (3,) each: constant, log demand, offload.

    Attributes:
        logit_copies: How many times early Hugging Face holds the prompt's logits (vocabulary x
            tokens).
    """

    coefficients: Mapping[str, tuple[float, float, float]]
    logit_copies: float

    def logits(self, inputs: ConfigurationTable) -> Array:
        """Return the log odds that each configuration runs, shape (n,)."""
        table = np.array([self.coefficients[name] for name in _FAMILIES])
        design = _design(inputs, self.logit_copies)
        odds: Array = (design * table[_family_of(inputs)]).sum(axis=1)
        return odds


PRIOR: Final = Feasibility(
    coefficients={
        "early_hf": (1.0, -3.0, 0.0),
        "hf": (1.0, -3.0, 0.0),
        "other": (2.0, -2.0, 0.0),
    },
    logit_copies=1.0,
)


def probability(
    model: Feasibility,
    inputs: ConfigurationTable,
    known: ConfigurationTable,
    outcome: Array,
    same: Mask,
) -> Array:
    """Return the probability that each configuration runs, shape (n,).

    Args:
        inputs: n configurations.
        known: m runs with an outcome.
        outcome: 1 where it completed, 0 where memory ran out, shape (m,).
        same: Whether a known run has a configuration's model and engine, shape (n, m).
    """
    odds = model.logits(inputs)
    if len(outcome):
        known_odds = model.logits(known)
        groups, inverse = np.unique(same, axis=0, return_inverse=True)
        shifts = [_shift(known_odds[group], outcome[group]) for group in groups]
        odds = odds + np.array(shifts)[inverse.reshape(-1)]
    chance = _sigmoid(odds)
    return _ruled(chance, inputs, known, outcome, same) if len(outcome) else chance


def _ruled(
    chance: Array, inputs: ConfigurationTable, known: ConfigurationTable, outcome: Array, same: Mask
) -> Array:
    """Return the chances after what known runs rule: firm on the same GPU, nearly so on another.

    Failures that memory does not explain happen. Where one here speaks against a configuration, and
    a run of no less demand for it, it is a last resort; what itself failed here is out.
    """
    harder, easier = _dominates(inputs, known, same)
    here = inputs["memory_gb"][:, None] == known["memory_gb"][None, :]
    ran, failed = outcome > 0, outcome == 0
    chance = np.where((easier & ran).any(axis=1), np.maximum(chance, _RAN_ELSEWHERE), chance)
    chance = np.where((easier & here & ran).any(axis=1), np.maximum(chance, _RAN), chance)
    chance = np.where((harder & failed).any(axis=1), np.minimum(chance, _FAILED_ELSEWHERE), chance)
    is_out = (harder & here & failed).any(axis=1)
    is_seen = (harder & easier & here & failed).any(axis=1)
    is_contested = (easier & ran).any(axis=1) & ~is_seen
    return np.where(is_out, np.where(is_contested, _CONTESTED, 0.0), chance)


def _dominates(
    inputs: ConfigurationTable, known: ConfigurationTable, same: Mask
) -> tuple[Mask, Mask]:
    """Return where a configuration needs at least, and at most, what a known run needed, (n, m)."""
    demand = (
        inputs["batch_size"][:, None] - known["batch_size"][None, :],
        (inputs["input_len"] + inputs["output_len"])[:, None]
        - (known["input_len"] + known["output_len"])[None, :],
        inputs["weight_bytes"][:, None] - known["weight_bytes"][None, :],
        known["n_gpus"][None, :] - inputs["n_gpus"][:, None],
        known["memory_gb"][None, :] - inputs["memory_gb"][:, None],
    )
    harder = np.logical_and.reduce([difference >= 0 for difference in demand]) & same
    easier = np.logical_and.reduce([difference <= 0 for difference in demand]) & same
    return harder, easier


def fit_feasibility(inputs: ConfigurationTable, outcome: Array, weight: Array) -> Feasibility:
    """Return the posterior mode of the coefficients, for the best number of logit copies.

    Args:
        inputs: n runs, completed and out of memory.
        outcome: 1 where it completed, shape (n,).
        weight: Weight of each row, shape (n,).
    """
    family = _family_of(inputs)
    best, best_loss = PRIOR, np.inf
    for copies in _LOGIT_COPIES:
        design = _design(inputs, copies)
        fitted, loss = {}, 0.0
        for number, name in enumerate(_FAMILIES):
            rows = family == number
            prior = np.array(PRIOR.coefficients[name])
            beta = _logistic(design[rows], outcome[rows], weight[rows], prior, _PRIOR_SD)
            odds = design[rows] @ beta
            loss += float(
                (weight[rows] * np.logaddexp(0, np.where(outcome[rows] > 0, -odds, odds))).sum()
            )
            fitted[name] = (float(beta[0]), float(beta[1]), float(beta[2]))
        if loss < best_loss - 1e-9:
            best, best_loss = Feasibility(coefficients=fitted, logit_copies=copies), loss
    return best


def outcomes(known: Sequence[RunRecord]) -> list[tuple[int, float]]:
    """Return (index, 1 or 0) of the runs that say whether a configuration fits in memory."""
    verdicts = {"completed": 1.0, "out_of_memory": 0.0, "load_failed": 0.0}
    return [
        (i, verdicts[run.status])
        for i, run in enumerate(known)
        if run.status in verdicts and not run.suspect
    ]


def _family_of(inputs: ConfigurationTable) -> NDArray[np.int64]:
    """Return the index into _FAMILIES of each row, shape (n,)."""
    hf = np.where(inputs["is_early"] > 0, _FAMILIES.index("early_hf"), _FAMILIES.index("hf"))
    return np.where(inputs.is_engine("hf"), hf, _FAMILIES.index("other"))


def _design(inputs: ConfigurationTable, copies: float) -> Array:
    """Return 1, the log of demand over room, and the share offloaded to the host, shape (n, 3)."""
    is_hf = inputs.is_engine("hf")
    outside = outside_bytes(inputs)
    each = inputs["memory_per_sequence_gb"]
    weights = (inputs["memory_total_gb"] - inputs["batch_size"] * each).clip(min=0.0)
    # Since transformers 4.45 a prompt's logits are computed for its last position alone.
    each = (
        each
        + copies * inputs["is_early"] * inputs["input_len"] * inputs["vocab"] * _LOGIT_BYTES / _GB
    )
    available = inputs["memory_available_gb"]
    room = np.where(outside > 0, gap_gb(inputs), available - weights)
    hf = np.log(inputs["batch_size"] * each / room.clip(min=_LEAST_ROOM_GB))
    overflow = np.log(inputs["memory_total_gb"] / available).clip(0.0, _MOST_OVERFLOW)
    other = np.where(
        inputs["fits"] > 0, -np.log(inputs["max_sequences"]), _OVERFLOW * (1 + overflow)
    )
    shape = (np.ones(len(inputs)), np.where(is_hf, hf, other), outside / inputs["weight_bytes"])
    return np.stack(shape, axis=1)


def _logistic(design: Array, outcome: Array, weight: Array, prior: Array, sd: Array) -> Array:
    """Return the posterior mode of logistic coefficients under a normal prior (Newton's method)."""
    beta, precision = prior.copy(), np.diag(sd**-2)
    for _ in range(_NEWTON_STEPS):
        chance = _sigmoid(design @ beta)
        gradient = design.T @ (weight * (outcome - chance)) - precision @ (beta - prior)
        curvature = (weight * chance * (1 - chance))[:, None] * design
        step = np.linalg.solve(design.T @ curvature + precision, gradient)
        beta = beta + step * min(1.0, 2.0 / max(float(np.abs(step).max()), 1e-12))
    return beta


def _shift(odds: Array, outcome: Array) -> float:
    """Return how far known outcomes move the log odds of one model, under a normal prior."""
    shift = 0.0
    if not len(odds):
        return shift
    for _ in range(_NEWTON_STEPS):
        chance = _sigmoid(odds + shift)
        gradient = float((outcome - chance).sum()) - shift / _SHIFT_SD**2
        shift += gradient / (float((chance * (1 - chance)).sum()) + _SHIFT_SD**-2)
    return shift


def _sigmoid(odds: Array) -> Array:
    result: Array = 1 / (1 + np.exp(-np.clip(odds, -30, 30)))
    return result
