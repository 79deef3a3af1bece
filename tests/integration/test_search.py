"""`autotune run` with each strategy, with limits and a kept configuration, on the light engine."""

from collections.abc import Callable
from typing import Any

import pytest
from mlflow import MlflowClient

from autotune.schema.record import RunRecord
from autotune.store.tracking.layout import KIND
from tests.integration.conftest import Ran, Workspace
from tests.support.lightly import Bench

LENGTHS = ("--input-len", 16, "--output-len", 4, "--time-budget", 0.2)


@pytest.fixture
def bench(workspace: Workspace) -> Bench:
    return Bench(workspace.folder).prepare()


def run(bench: Bench, *options: Any) -> tuple[Ran, list[RunRecord]]:
    """Run a study in the folder; return what it said and its journal."""
    ran = bench.here(
        *("run", "--model", "light-model", "--engine", "hf", *LENGTHS),
        *("--journal", bench.journal.name, *options),
    )
    return ran, bench.records()


@pytest.mark.parametrize("strategy", ["random", "tpe", "surrogate"])
def test_a_search_measures_the_default_first_and_stays_within_its_trials(
    bench: Bench, strategy: str
) -> None:
    options = ("--strategy", strategy, "--batch-sizes", "2:16", "--max-trials", 3, "--seed", 7)
    ran, records = run(bench, *options)
    assert ran.code == 0, ran.err
    assert [(r.batch_size, r.purpose) for r in records[:1]] == [(1, "baseline")]
    assert {r.purpose for r in records[1:]} == {"search"}
    assert len({r.batch_size for r in records}) == 3
    assert {r.batch_size for r in records[1:]} < {2, 4, 8, 16}
    for record in records:
        assert record.status == "completed"
        assert record.environment["strategy"] == strategy
        assert record.environment["seed"] == 7
        assert record.environment["max_trials"] == 3
    assert ran.err.count("starting hf") == 1
    assert "stopped by --max-trials 3" in ran.out
    assert "baseline: hf on 1 x" in ran.out
    again, after = run(bench, *options, "--resume")
    assert again.code == 0, again.err
    assert after == records
    assert "starting hf" not in again.err


def test_limits_choose_the_best_and_are_said_when_nothing_meets_them(bench: Bench) -> None:
    ran, records = run(bench, "--batch-sizes", "1,16", "--max-ttft-ms", 0.001)
    assert ran.code == 1
    assert len(records) == 2
    assert all(record.status == "completed" for record in records)
    assert "none of 2 that ran met mean TTFT up to 0.001 ms" in ran.out
    ran, _ = run(bench, "--batch-sizes", "1,16", "--max-ttft-ms", 1e9, "--resume")
    assert ran.code == 0
    fastest = max(records, key=lambda record: record.output_throughput or 0)
    assert f"best: hf on 1 x {fastest.gpu}, batch {fastest.batch_size}:" in ran.out
    assert "mean TTFT" in ran.out


def test_the_kept_configuration_is_measured_first_and_compared(bench: Bench) -> None:
    ran, records = run(bench, "--batch-sizes", "1,32", "--kept", "1x3")
    assert ran.code == 0, ran.err
    assert [(r.batch_size, r.purpose) for r in records] == [
        (3, "baseline"),
        (32, "search"),
        (1, "search"),
    ]
    assert "batch 3" in next(line for line in ran.out.splitlines() if "baseline:" in line)


def test_alternatives_of_a_knob_each_get_a_start(bench: Bench) -> None:
    ran, records = run(
        bench, "--batch-sizes", "2", "--set", 'hf.attn_implementation=["sdpa","eager"]'
    )
    assert ran.code == 0, ran.err
    assert [r.knobs["attn_implementation"] for r in records] == ["sdpa", "eager"]
    assert "starting hf on 1 x" in ran.err
    assert "(attn_implementation=eager)" in ran.err
    best = max(records, key=lambda record: record.output_throughput or 0)
    assert f"(attn_implementation={best.knobs['attn_implementation']}), batch 2" in ran.out


def test_budgets_of_time_end_a_grid_and_the_store_knows_the_search(
    bench: Bench, new_store: Callable[..., str]
) -> None:
    uri = new_store(bench.folder)
    ran = bench.here(
        *("run", "--model", "light-model", "--engine", "hf", *LENGTHS, "--batch-sizes", "1:64"),
        *("--max-gpu-hours", 1e-7, "--max-time", 1000, "--seed", 3),
    )
    assert ran.code == 0, ran.err
    assert "stopped by --max-gpu-hours 1e-07; 6 were not run" in ran.out
    client = MlflowClient(uri)
    (experiment,) = [e for e in client.search_experiments() if e.name == "autotune"]
    runs = client.search_runs([experiment.experiment_id])
    (study,) = [r for r in runs if r.data.tags[KIND] == "study"]
    assert study.data.params["strategy"] == "grid"
    assert study.data.params["seed"] == "3"
    assert study.data.params["max_gpu_hours"] == "1e-07"
    assert study.data.params["max_time_s"] == "1000.0"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--strategy", "bayes"), ["strategy='bayes'", "surrogate"]),
        (("--max-trials", 0), ["max_trials=0"]),
        (("--kept", "64"), ["kept='64'", "2x64"]),
        (("--kept", "64x1"), ["n_gpus=64"]),
        (("--max-tpot-ms", -1), ["max_tpot_ms=-1"]),
        (("--set", "hf.device_map=[]"), ["device_map", "at least one"]),
    ],
)
def test_what_cannot_be_meant_is_exit_2_and_starts_nothing(
    bench: Bench, options: tuple[Any, ...], words: list[str]
) -> None:
    ran, records = run(bench, *options)
    assert ran.code == 2, ran.err
    assert not records
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err
