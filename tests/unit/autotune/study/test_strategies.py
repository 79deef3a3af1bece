"""Strategies: never twice, never what is ruled out, seeded, and TPE better than chance."""

import math
import random
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from autotune.errors import InvalidConfigError
from autotune.runner.runner import Trial
from autotune.schema.configuration import Configuration, identity
from autotune.schema.loading import study_from_dict
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import Slo
from autotune.study.strategies import create_strategy
from tests.support import ROOT
from tests.support.plans import MODEL, Landscape, Recorded, drive, engine, planned

STARTS = [engine(n) for n in (1, 2, 4, 8)]
PLAN = planned(tuple(2**k for k in range(11)), starts=STARTS)


def made_up(seed: int) -> Landscape:
    """Throughput saturates at some batch size, scales unevenly over GPUs, and memory ends."""
    chance = random.Random(seed)
    knee = 2 ** chance.uniform(3, 9)
    scale = {1: 1.0, 2: chance.uniform(1, 2), 4: chance.uniform(1, 3), 8: chance.uniform(0.7, 4)}
    most = {n: chance.choice([128, 512, 1024]) for n in scale}
    level = {identity(item.configuration): chance.gauss(0, 0.1) for item in PLAN}

    def landscape(of: Configuration) -> float | None:
        if of.batch_size > most[of.n_gpus]:
            return None
        rate = 1000 * of.batch_size / (of.batch_size + knee) * scale[of.n_gpus]
        return rate * math.exp(level[identity(of)])

    return landscape


def regret(strategy: str, seed: int, n: int, folder: Path) -> float:
    landscape = made_up(seed)
    best = max(value for i in PLAN if isinstance(value := landscape(i.configuration), float))
    path = folder / f"{strategy}-{seed}-{n}"
    made = drive(PLAN, Recorded(landscape), path, strategy=strategy, seed=seed, max_trials=n)
    return 1 - max((r.output_throughput or 0.0 for r in made), default=0.0) / best


@pytest.mark.slow
def test_tpe_finds_more_than_chance_in_as_many_runs(tmp_path: Path) -> None:
    found = {
        name: statistics.mean(regret(name, seed, 14, tmp_path) for seed in range(20))
        for name in ("random", "tpe")
    }
    assert found["tpe"] < 0.8 * found["random"], found
    assert found["tpe"] < 0.1, found


@pytest.mark.parametrize("strategy", ["grid", "random", "tpe"])
def test_a_strategy_left_alone_measures_everything_that_fits_once(
    strategy: str, tmp_path: Path
) -> None:
    landscape = made_up(3)
    device = Recorded(landscape)
    records = drive(PLAN, device, tmp_path / "j", strategy=strategy, exhaustive=True)
    keys = [record.run_key for record in records]
    assert len(set(keys)) == len(keys)
    fits = {identity(i.configuration) for i in PLAN if landscape(i.configuration) is not None}
    assert {identity(r) for r in records if r.status == "completed"} == fits
    # Larger batches of a start that ran out of memory are not tried.
    failed = [(r.n_gpus, r.batch_size) for r in records if r.status == "out_of_memory"]
    for k, (n_gpus, size) in enumerate(failed):
        assert all(later[0] != n_gpus or later[1] < size for later in failed[k + 1 :])


@pytest.mark.parametrize("strategy", ["random", "tpe"])
def test_the_seed_decides_and_is_enough(strategy: str, tmp_path: Path) -> None:
    def run(name: str, seed: int) -> list[tuple[int, int]]:
        options: dict[str, Any] = {"strategy": strategy, "seed": seed, "max_trials": 8}
        records = drive(PLAN, Recorded(made_up(1)), tmp_path / name, **options)
        return [(r.n_gpus, r.batch_size) for r in records]

    assert run("a", 5) == run("b", 5)
    assert len({tuple(run(f"seed-{seed}", seed)) for seed in range(4)}) == 4


def test_random_runs_what_it_drew_start_by_start_large_batches_first(tmp_path: Path) -> None:
    device = Recorded(lambda of: 1.0)
    records = drive(PLAN, device, tmp_path / "j", strategy="random", max_trials=12, seed=2)
    assert len(records) == 12
    assert len(device.starts) == len({r.n_gpus for r in records})
    for n_gpus in (1, 2, 4, 8):
        sizes = [r.batch_size for r in records if r.n_gpus == n_gpus]
        assert sizes == sorted(sizes, reverse=True)


def test_random_draws_the_next_for_what_memory_rules_out(tmp_path: Path) -> None:
    device = Recorded(lambda of: 1.0 if of.batch_size < 4 else None)
    records = drive(PLAN, device, tmp_path / "j", strategy="random", max_trials=10, seed=2)
    assert len(records) == 10


def test_tpe_prefers_the_engine_that_runs(tmp_path: Path) -> None:
    starts = []
    for seed in range(5):
        device = Recorded(made_up(seed))
        drive(PLAN, device, tmp_path / f"{seed}", strategy="tpe", max_trials=20, seed=seed)
        starts.append(len(device.starts))
    assert statistics.mean(starts) < 12


def within(limit: float, plan: Sequence[Trial]) -> set[tuple[int, int]]:
    return {(i.config.n_gpus, i.batch_size) for i in plan if latency(i.configuration) <= limit}


def latency(of: Configuration) -> float:
    return of.batch_size / of.n_gpus


@pytest.mark.slow
def test_tpe_looks_where_the_limits_are_met(tmp_path: Path) -> None:
    share = {}
    for name, slo in (("free", Slo()), ("bound", Slo(max_ttft_ms=16))):
        made = []
        for seed in range(10):
            device = Recorded(lambda of: 10.0 * of.batch_size, latency_ms=latency)
            path = tmp_path / f"{name}-{seed}"
            made += drive(PLAN, device, path, strategy="tpe", seed=seed, max_trials=14, slo=slo)
        good = within(16, PLAN)
        share[name] = statistics.mean((r.n_gpus, r.batch_size) in good for r in made)
    assert share["bound"] > share["free"] + 0.1, share


def test_the_surrogate_lies_outside_and_needs_its_factory() -> None:
    spec = StudySpec(model=MODEL, strategy="surrogate")
    with pytest.raises(InvalidConfigError, match="autotune run"):
        create_strategy(spec, PLAN)


WITHOUT_OPTUNA = """
import sys
sys.modules["optuna"] = None
from autotune.errors import AutotuneError
from autotune.study.strategies import create_strategy
from autotune.schema.study_spec import StudySpec

for name in ("grid", "random"):
    create_strategy(StudySpec(model="m", strategy=name), [])
try:
    create_strategy(StudySpec(model="m", strategy="tpe"), [])
except AutotuneError as error:
    print(error)
"""


def test_only_tpe_needs_optuna_and_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_OPTUNA],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "pip install optuna" in done.stdout


@pytest.mark.parametrize("strategy", ["random", "tpe", "surrogate"])
def test_a_search_works_on_one_workload(strategy: str) -> None:
    data = {"model": "m", "strategy": strategy, "workloads": [{"input_len": 8}, {"input_len": 9}]}
    with pytest.raises(InvalidConfigError, match=r"2 workloads.*grid"):
        study_from_dict(data)
