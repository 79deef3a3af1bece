"""Protocols hide what they say, and the table is right on a landscape whose truth is known."""

import dataclasses
from dataclasses import replace

import pytest

from autotune.errors import InvalidConfigError, SurrogateError
from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.evaluation.backtest import METHODS, evaluate, known_runs
from recommender.evaluation.protocols import cases_of, hides, popular_cell, principal_cells
from recommender.evaluation.replay import case_of, incumbent_index, play, tpe_order
from recommender.recommendation.candidates import configuration_of
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.landscapes import MODELS, synthetic_runs

RUNS = synthetic_runs()
KEYS = {
    "protocol",
    "engine",
    "source_gpu",
    "target_gpu",
    "method",
    "runs",
    "groups",
    "regret_mean",
    "regret_median",
    "regret_max",
    "ape_median",
    "coverage90",
    "failed_choice_rate",
    "regret_bound90_median",
    "bound_coverage",
}


@pytest.fixture(scope="module")
def table():
    two_gpus = [run for run in RUNS if run.gpu != "H100-80GB"]
    return evaluate(two_gpus, protocol="migration", engine="vllm", runs=(0, 3))


@pytest.mark.slow
def test_every_direction_method_and_number_of_runs_has_a_row(table):
    assert all(set(row) >= KEYS for row in table)
    assert {row["method"] for row in table} == set(METHODS)
    directions = {(row["source_gpu"], row["target_gpu"]) for row in table}
    assert len(directions) == 2
    assert len(table) == 2 * (2 * len(METHODS) - 1)  # TPE without a run knows nothing
    assert {row["runs"] for row in table if row["method"] == "tpe"} == {3}
    assert all(row["groups"] == len(MODELS) for row in table if row["method"] == "ours")


@pytest.mark.slow
def test_on_an_easy_landscape_ours_is_near_the_best_and_never_below_keep(table):
    by_method = {(r["source_gpu"], r["target_gpu"], r["method"], r["runs"]): r for r in table}
    for (source, target, method, runs), row in by_method.items():
        if method == "ours":
            assert row["regret_max"] < 0.1
            assert row["ape_median"] < 0.2
            assert row["failed_choice_rate"] == 0
            incumbent = by_method[(source, target, "keep", runs)]
            assert runs < 3 or row["regret_mean"] <= incumbent["regret_mean"] + 1e-12


@pytest.mark.slow
def test_the_bound_on_regret_is_ours_alone_and_there_after_a_run(table):
    for row in table:
        has_bound = row["method"] == "ours" and row["runs"] > 0
        assert (row["regret_bound90_median"] is not None) == has_bound
        assert (row["bound_coverage"] is not None) == has_bound
        if has_bound:
            assert 0 <= row["regret_bound90_median"] <= 1


def plateau(n_gpus: int, batch_size: int) -> float:
    """A landscape whose largest batches and second GPU bring next to nothing."""
    return (1 + 0.01 * (n_gpus - 1)) * 7000 * batch_size / (batch_size + 60 * (batch_size < 256))


@pytest.mark.parametrize("speed", [plateau, lambda n, b: 30.0 * n * b, lambda n, b: 9000.0 / b])
def test_what_is_scored_is_what_recommend_and_confirm_choose(speed):
    asked = Query(
        model="meta-llama/Llama-3.1-8B", target_gpu="H200", max_gpus=2, objective="replica"
    )
    places = [(n, 2**k) for n in (1, 2) for k in range(11)]
    rows = [
        RunRecord(
            **dataclasses.asdict(configuration_of(asked, "H200", "vllm", n, b)),
            source="somebody",
            status="completed",
            output_throughput=speed(n, b),
        )
        for n, b in places
    ]
    predictor = Predictor.load(PRETRAINED)
    advice = recommend(asked, predictor)
    case = case_of(rows)
    played = {outcome.runs: outcome for outcome in play(case, predictor, [], (0, 1, 3, 5))}
    best = max(row.output_throughput for row in rows)
    assert played[0].regret == pytest.approx(1 - speed(*cell_of(advice.best)) / best)
    for runs in (1, 3, 5):
        done = confirm(advice, Replay(rows), predictor, runs=runs)
        assert played[runs].regret == pytest.approx(1 - speed(*cell_of(done.winner)) / best)
        assert played[runs].bound == pytest.approx(done.certificate.regret_bound90)


def cell_of(candidate) -> tuple[int, int]:
    return candidate.n_gpus, candidate.batch_size


def test_tpe_runs_distinct_configurations_and_follows_its_seed():
    [case, *_] = cases_of(RUNS, "migration", "vllm")
    order = tpe_order(case, 5, seed=0)
    assert len(set(order)) == len(order) == 5
    assert order == tpe_order(case, 5, seed=0)
    everything = tpe_order(case, 99, seed=1)
    assert sorted(everything) == list(range(len(case.candidates)))


@pytest.mark.slow
def test_the_same_rows_give_the_same_table():
    few = [run for run in RUNS if run.gpu != "H100-80GB"]
    one, two = (evaluate(few, protocol="leave-model-out", runs=(0, 1)) for _ in range(2))
    assert one == two


@pytest.mark.parametrize("protocol", ["migration", "leave-gpu-out", "leave-model-out"])
def test_a_fit_never_sees_what_its_case_hides(protocol):
    for case in cases_of(RUNS, protocol, "vllm"):
        seen = [run for run in RUNS if not hides(protocol, case.fold, run)]
        assert not any(row in seen for row in case.target_rows)
        known = known_runs(case, seen)
        assert all(run in seen for run in known)
        if protocol == "leave-gpu-out":
            assert case.target_gpu not in {run.gpu for run in seen}
        if protocol == "leave-model-out":
            assert case.model not in {run.model for run in seen}
            assert case.source_gpu is None
        if protocol == "migration":
            mine = [run for run in known if run.model == case.model]
            assert {run.gpu for run in mine} == {case.source_gpu}


def test_suspect_and_confirmatory_rows_do_not_score():
    marked = [replace(run, suspect=True, run_key=None) for run in RUNS]
    assert cases_of(marked, "migration", "all") == []
    confirmed = [replace(run, purpose="confirm") for run in RUNS]
    assert cases_of(confirmed, "migration", "all") == []


def test_kept_is_the_sources_best_that_the_target_has():
    [case] = [
        c
        for c in cases_of(RUNS, "migration", "vllm")
        if (c.model, c.source_gpu, c.target_gpu) == (MODELS[0], "A100-40GB", "V100-32GB")
    ]
    incumbent = case.candidates[incumbent_index(case)]
    best = max(case.source_rows, key=lambda run: run.output_throughput)
    assert (incumbent.n_gpus, incumbent.batch_size) == (best.n_gpus, best.batch_size)


def test_principal_cells_are_of_the_workload_with_most_cells():
    rows = [run for run in RUNS if (run.model, run.gpu) == (MODELS[0], "A100-40GB")]
    longer = [replace(run, output_len=128, run_key=None) for run in rows[:3]]
    assert {run.output_len for run in principal_cells([*rows, *longer])} == {64}
    shorter = [replace(run, output_len=8, run_key=None) for run in rows]
    assert {run.output_len for run in principal_cells([*rows, *shorter])} == {8}
    assert len(principal_cells([*rows, *rows])) == len(rows)


def test_popular_cell_prefers_the_small_one_of_a_tie():
    rows = [run for run in RUNS if run.gpu == "A100-40GB"]
    small = [replace(rows[0], output_throughput=9e9, run_key=None)]
    large = [replace(rows[7], output_throughput=9e9, run_key=None)]
    assert popular_cell([small, large]) == (1, 1)
    assert popular_cell([small, large, large]) == (2, 256)
    assert popular_cell([]) is None


def test_bad_questions_are_refused():
    with pytest.raises(InvalidConfigError, match="protocol"):
        evaluate(RUNS, protocol="sideways")
    with pytest.raises(InvalidConfigError, match="engine"):
        evaluate(RUNS, protocol="migration", engine="torch")
    with pytest.raises(SurrogateError, match="no landscape"):
        evaluate(RUNS[:2], protocol="migration")
