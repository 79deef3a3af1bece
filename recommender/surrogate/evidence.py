"""What is known for this user, beside what is asked: which runs count, and how near they are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE
from autotune.store.sampling import spread_over
from recommender.features.placement import busy_replicas, one_replica, run_of_one_replica
from recommender.features.table import Array, ConfigurationTable, collect, is_catalogued
from recommender.surrogate.feasibility import outcomes
from recommender.surrogate.gaussian_process import ENGINE, GPU, MODEL, Cells, cells_of

LEVEL: Final = 0.90
# What is known: of other models on the target GPU, of the model on other GPUs, of it on the target
# (beside other GPUs, or on no other).
NOTHING, NEIGHBOURS, ELSEWHERE = "nothing", "neighbours", "elsewhere"
BOTH, ON_TARGET, ALONE = "elsewhere_and_neighbours", "on_target", "on_target_alone"
STATES: Final = (NOTHING, NEIGHBOURS, ELSEWHERE, BOTH, ON_TARGET, ALONE)
_GB: Final = 2.0**30
_CROWDED: Final = 0.7
_CROWDED_DOUBT: Final = 2.0
WITHOUT_EVIDENCE: Final = 1.645


def doubt(inputs: ConfigurationTable) -> Array:
    """Return the factor on the calibration's deviation, shape (n,).

    Where weights take most of the GPUs' memory, a Hugging Face pipeline offloads some of them or
    has little room left: errors there are about twice those elsewhere.
    """
    room = inputs["n_gpus"] * inputs["memory_gb"] * _GB
    is_crowded = inputs.is_engine("hf") & (inputs["weight_bytes"] > _CROWDED * room)
    return np.where(is_crowded, _CROWDED_DOUBT, 1.0)


def conformal_quantile(scores: Sequence[Array], level: float = LEVEL) -> float:
    """Return the score that a new landscape's rows stay under with probability ``level``.

    Args:
        scores: One array of shape (rows,) a landscape; each landscape weighs 1 in all.

    Returns:
        The weighted quantile with the new landscape's own weight at infinity; the largest score
        where there are too few landscapes for the level; a normal's quantile without any.
    """
    filled = [array for array in scores if array.size]
    if not filled:
        return WITHOUT_EVIDENCE
    values = np.concatenate(filled)
    weight = np.concatenate([np.full(array.size, 1 / array.size) for array in filled])
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weight[order]) / (len(filled) + 1)
    index = min(int(np.searchsorted(reached, level)), len(values) - 1)
    return float(values[order][index])


def coverage(low: Array, measured: Array, high: Array) -> float:
    """Return the share of measured values inside their interval."""
    return float(np.mean((low <= measured) & (measured <= high)))


MOST_RUNS: Final = 700


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """n questions and m known runs, looked up together so that their codes compare.

    Of replicas behind one server, one stands for all: in the questions as in the runs.

    Attributes:
        replicas: How many have requests, of each question, shape (n,).
        inputs, cells: Of the questions.
        runs: The known runs, their inputs and cells.
        measured: Indices of the runs with a throughput, shape (k,).
        verdicts: Indices of the runs that say whether they fit in memory, and 1 or 0 for each.
    """

    replicas: NDArray[np.int64]
    inputs: ConfigurationTable
    cells: Cells
    runs: list[RunRecord]
    run_facts: ConfigurationTable
    run_cells: Cells
    measured: NDArray[np.int64]
    verdict_index: NDArray[np.int64]
    verdict: NDArray[np.float64]

    def same(self, *labels: int) -> NDArray[np.bool_]:
        """Return which runs share these labels with a question, shape (n, m)."""
        mine, theirs = self.cells.labels[:, labels], self.run_cells.labels[:, labels]
        equal: NDArray[np.bool_] = (mine[:, None, :] == theirs[None, :, :]).all(axis=2)
        return equal

    def state(self) -> NDArray[np.int64]:
        """Return the index into STATES of each question, shape (n,)."""
        model = self.same(ENGINE, MODEL)[:, self.measured].any(axis=1)
        gpu = self.same(ENGINE, GPU)[:, self.measured].any(axis=1)
        there = self.same(ENGINE, MODEL, GPU)[:, self.measured]
        elsewhere = (self.same(ENGINE, MODEL)[:, self.measured] & ~there).any(axis=1)
        of_model = np.where(gpu, STATES.index(BOTH), STATES.index(ELSEWHERE))
        of_others = np.where(gpu, STATES.index(NEIGHBOURS), STATES.index(NOTHING))
        on_target = np.where(elsewhere, STATES.index(ON_TARGET), STATES.index(ALONE))
        return np.where(there.any(axis=1), on_target, np.where(model, of_model, of_others))

    def runs_on_target(self) -> NDArray[np.int64]:
        """Return the number of measured runs of each question's model on its GPU, shape (n,)."""
        count: NDArray[np.int64] = self.same(ENGINE, MODEL, GPU)[:, self.measured].sum(axis=1)
        return count


def gather(configurations: Sequence[Configuration], known: Sequence[RunRecord]) -> Knowledge:
    """Look questions and known runs up; suspect, throttled and uncatalogued runs do not count."""
    trusted = [run for run in known if not run.suspect and not run.is_throttled]
    runs = nearest_runs(configurations, trusted)
    runs = [run_of_one_replica(run) for run in runs if is_catalogued(run)]
    replicas = np.array([busy_replicas(asked) for asked in configurations], dtype=np.int64)
    configurations = [one_replica(asked) for asked in configurations]
    sources = {run.source for run in runs}
    source = sources.pop() if len(sources) == 1 else None
    inputs = collect([*configurations, *runs], source=source)
    cells = cells_of([*configurations, *runs], inputs)
    n = len(configurations)
    asked, given = np.arange(n), np.arange(n, len(inputs))
    verdicts = outcomes(runs)
    return Knowledge(
        replicas=replicas,
        inputs=inputs.take(asked),
        cells=cells.take(asked),
        runs=runs,
        run_facts=inputs.take(given),
        run_cells=cells.take(given),
        measured=np.array([i for i, run in enumerate(runs) if run.is_measured], dtype=np.int64),
        verdict_index=np.array([i for i, _ in verdicts], dtype=np.int64),
        verdict=np.array([outcome for _, outcome in verdicts], dtype=np.float64),
    )


def nearest_runs(
    configurations: Sequence[Configuration], known: Sequence[RunRecord]
) -> list[RunRecord]:
    """Return at most MOST_RUNS runs: those of the asked models on the asked GPUs first.

    Within the last class that does not fit whole, runs are taken at even distances.
    """
    models = {(c.engine, c.model) for c in configurations}
    cells = {(c.engine, c.model, c.gpu) for c in configurations}
    gpus = {(c.engine, c.gpu) for c in configurations}
    classes: tuple[list[RunRecord], ...] = ([], [], [], [])
    for run in known:
        if (run.engine, run.model, run.gpu) in cells:
            classes[0].append(run)
        elif (run.engine, run.model) in models:
            classes[1].append(run)
        else:
            classes[2 if (run.engine, run.gpu) in gpus else 3].append(run)
    taken: list[RunRecord] = []
    for members in classes:
        room = min(MOST_RUNS - len(taken), len(members))
        steps = np.linspace(0, len(members) - 1, room).round().astype(int)
        taken.extend(members[i] for i in steps)
    return taken


# Of the 613 reference runs, a model left out: error 6.0 % and regret 0.2 %; 5.8 and 0.2 % with all.
MOST: Final = 240


def related_runs(
    known: Sequence[RunRecord],
    others: Sequence[RunRecord],
    *,
    gpu: str,
    engines: Collection[str],
) -> list[RunRecord]:
    """Return at most 240 runs an engine that correct predictions for a GPU, its own first.

    They are of the harness that the model's own runs are of, this one where none are known: a
    correction is of one, and harnesses differ more than GPUs do.

    Args:
        known: The model's own runs.
        others: Runs of other models.
        gpu: Catalogue name of the target.
    """
    sources = {run.source for run in known} or {OWN_SOURCE}
    if OWN_SOURCE not in sources and len(sources) > 1:
        return []
    harness = OWN_SOURCE if OWN_SOURCE in sources else min(sources)
    chosen: list[RunRecord] = []
    for engine in engines:
        alike = [run for run in others if (run.source, run.engine) == (harness, engine)]
        there = spread_over([run for run in alike if run.gpu == gpu], MOST)
        elsewhere = [run for run in alike if run.gpu != gpu]
        chosen += [*there, *spread_over(elsewhere, MOST - len(there))]
    return chosen
