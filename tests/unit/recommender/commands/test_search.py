"""The strategy that asks the surrogate: expected improvement within the latency limits."""

import math
import random
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest

from autotune.runner.runner import Trial
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Slo
from recommender.commands.search import SurrogateSearch, gain
from recommender.surrogate.predictor import PRETRAINED, Prediction, Predictor
from tests.support.plans import Landscape, Recorded, drive, engine, planned, result

PREDICTOR = Predictor.load(PRETRAINED)
PLAN = planned(tuple(2**k for k in range(11)), starts=[engine(n) for n in (1, 2, 4, 8)])
PRIOR = {
    (item.config.n_gpus, item.batch_size): prediction.output_throughput
    for item, prediction in zip(
        PLAN, PREDICTOR.predict([item.configuration for item in PLAN]), strict=True
    )
}


def warped(seed: int) -> Landscape:
    """The predictor's own belief, wrong by a level, a knee and an uneven scaling."""
    chance = random.Random(seed)
    knee = 2 ** chance.uniform(5, 11)
    scale = {n: chance.uniform(0.4, 1.0) for n in (1, 2, 4, 8)}

    def landscape(of: Configuration) -> float:
        believed = PRIOR[of.n_gpus, of.batch_size]
        return believed * scale[of.n_gpus] / (1 + (of.batch_size / knee) ** 2)

    return landscape


def surrogate(slo: Slo = Slo(), known: Sequence[RunRecord] = ()) -> SurrogateSearch:  # noqa: B008
    return SurrogateSearch(PREDICTOR, slo, known)


def run(
    landscape: Landscape,
    n: int,
    path: Path,
    slo: Slo = Slo(),  # noqa: B008
) -> tuple[list[RunRecord], Recorded]:
    device = Recorded(landscape)

    def make(spec: StudySpec, plan: Sequence[Trial]) -> SurrogateSearch:
        return surrogate(slo)

    return drive(PLAN, device, path, make=make, strategy="surrogate", max_trials=n), device


def regret(records: Sequence[RunRecord], landscape: Landscape) -> float:
    best = max(float(landscape(item.configuration) or 0.0) for item in PLAN)
    return 1 - max(r.output_throughput or 0.0 for r in records) / best


def test_it_finds_more_than_chance_in_as_many_runs(tmp_path: Path) -> None:
    mine, drawn = [], []
    for seed in range(8):
        landscape = warped(seed)
        records, _ = run(landscape, 8, tmp_path / f"s{seed}")
        mine.append(regret(records, landscape))
        path = tmp_path / f"r{seed}"
        by_chance = drive(
            PLAN, Recorded(landscape), path, strategy="random", seed=seed, max_trials=8
        )
        drawn.append(regret(by_chance, landscape))
    assert statistics.mean(mine) < 0.5 * statistics.mean(drawn), (mine, drawn)
    assert statistics.mean(mine) < 0.05, mine


def test_it_never_asks_twice_and_follows_what_memory_rules_out(tmp_path: Path) -> None:
    def landscape(of: Configuration) -> float | None:
        return None if of.batch_size > 64 else float(of.batch_size)

    records, _ = run(landscape, 44, tmp_path / "j")
    assert len({r.run_key for r in records}) == len(records)
    fits = {(r.n_gpus, r.batch_size) for r in records if r.status == "completed"}
    assert fits == {(i.config.n_gpus, i.batch_size) for i in PLAN if i.batch_size <= 64}


def test_among_equals_the_running_engine_goes_on() -> None:
    search = surrogate()
    # a knob that no prediction depends on: each batch size promises the same with either start
    starts = [engine(knobs={"max_num_batched_tokens": tokens}) for tokens in (4096, 8192)]
    plan = planned((64, 128), starts=starts)
    running = plan[-1]
    search.tell(running, result(running.configuration, PRIOR[1, running.batch_size]))
    second = search.ask([item for item in plan if item.batch_size != running.batch_size])
    assert second is not None
    assert second.config == running.config


def test_known_runs_move_the_first_choice() -> None:
    choices = [item for item in PLAN if item.config.n_gpus == 1]
    known = [
        result(item.configuration, 4000 / (1 + abs(math.log2(item.batch_size / 16))))
        for item in choices
    ]
    without, with_them = surrogate().ask(choices), surrogate(known=known).ask(choices)
    assert without is not None
    assert with_them is not None
    assert without.batch_size > 64
    assert with_them.batch_size < without.batch_size


def test_nothing_to_choose_from_ends_it() -> None:
    assert surrogate().ask([]) is None


def prediction(**changes: float | None) -> Prediction:
    values = {"output_throughput": 1000.0, "low": 500.0, "high": 2000.0, "p_feasible": 1.0}
    return Prediction(
        **(values | {"memory_gb": 1.0, "ttft_ms": 100.0, "tpot_ms": 10.0} | changes),
        fits=True,
        roofline_throughput=1000.0,
        bottleneck="weights",
        confidence="low",
    )


def test_what_will_hardly_meet_the_limits_promises_hardly_anything() -> None:
    slo = Slo(max_tpot_ms=5)
    free, bound = (gain(prediction(), 900.0, limits)[0] for limits in (Slo(), slo))
    assert bound == pytest.approx(0.05 * free, rel=0.01)
    assert gain(prediction(tpot_ms=None), 900.0, slo)[0] == free
    assert math.isclose(gain(prediction(), 0.0, Slo())[0], 1000.0)
