"""The decision: ranking, plateaus, baselines, measured cells, failures."""

import dataclasses
import math
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names, find_model
from autotune.errors import (
    InvalidConfigError,
    LimitsNotMetError,
    NothingFitsError,
    UnknownGpuError,
)
from autotune.schema.workload import Slo, Workload
from recommender.recommendation.candidates import enumerate_configurations
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.plans import command
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import rank
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.candidates import candidate
from tests.support.records import record

MODEL = "meta-llama/Llama-3.1-8B"
PREDICTOR = Predictor.load(PRETRAINED)


def query(**changes: Any) -> Query:
    return Query(**({"model": MODEL, "target_gpu": "H100"} | changes))


@pytest.mark.parametrize(
    ("tolerance", "expected"),
    [(0.0, (2, 512)), (0.01, (2, 256)), (0.02, (1, 256)), (0.2, (1, 128))],
)
def test_within_the_tolerance_fewer_gpus_then_the_smaller_batch_win(
    tolerance: float, expected: tuple[int, int]
) -> None:
    landscape = [
        candidate(2, 512, 7113),
        candidate(2, 256, 7061),
        candidate(1, 256, 6990),
        candidate(1, 128, 6000),
    ]
    first, *rest = rank(landscape, query(tolerance=tolerance))
    assert (first.n_gpus, first.batch_size) == expected
    assert [c.output_throughput for c in rest] == sorted(
        (c.output_throughput for c in rest), reverse=True
    )


def test_per_gpu_prefers_the_replica_that_uses_its_gpus_best() -> None:
    landscape = [candidate(1, 256, 5000), candidate(8, 256, 20000)]
    assert rank(landscape, query(objective="per-gpu"))[0].n_gpus == 1
    assert rank(landscape, query(objective="replica"))[0].n_gpus == 8


def test_the_default_question_is_of_all_gpus_at_hand() -> None:
    """Eight replicas of one GPU give more than one over eight, and can be proved on one."""
    made = recommend(query(), PREDICTOR)
    alone = recommend(query(objective="replica"), PREDICTOR)
    best = made.best
    assert best.replicas * best.n_gpus == best.total_gpus == 8
    assert best.n_gpus < alone.best.n_gpus
    assert alone.best.replicas == 1
    assert best.total_output_throughput > alone.best.output_throughput
    assert best.total_output_throughput == pytest.approx(best.replicas * best.output_throughput)
    assert "Splitting the model further gives less" in made.explanation


def test_a_replica_alone_is_answered_as_the_paper_asks() -> None:
    """As many GPUs and as large a batch as give one replica the most."""
    made = recommend(query(objective="replica", tolerance=0.0, top=99), PREDICTOR)
    assert {c.replicas for c in made.landscape} == {1}
    assert made.best.total_gpus == made.best.n_gpus == 8
    speeds = [c.output_throughput for c in made.candidates[1:]]
    assert speeds[0] == pytest.approx(max(speeds), rel=0.1)


def test_the_frontier_gives_up_throughput_for_speed_to_a_user() -> None:
    made = recommend(query(), PREDICTOR)
    assert made.frontier[0] == made.best
    assert 2 <= len(made.frontier) <= made.query.top
    totals = [c.total_output_throughput for c in made.frontier]
    speeds = [c.tok_s_per_user or 0.0 for c in made.frontier]
    assert totals == sorted(totals, reverse=True)
    assert speeds == sorted(speeds)
    assert speeds[-1] > 2 * speeds[0]


@pytest.mark.parametrize("max_gpus", [1, 3, 8, 12, 16])
def test_gpus_left_idle_are_said(max_gpus: int) -> None:
    made = (
        recommend(query(model="meta-llama/Llama-3.1-70B", max_gpus=max_gpus), PREDICTOR)
        if (max_gpus > 1)
        else recommend(query(max_gpus=1), PREDICTOR)
    )
    idle = max_gpus - made.best.total_gpus
    assert idle >= 0
    assert (f"{idle} GPU" in made.explanation and "idle" in made.explanation) == (idle > 0)


def test_there_are_at_most_five_reasons() -> None:
    asked = query(
        engine="all", source_gpu="A100", slo=Slo(max_tpot_ms=30), prices={"H100-80GB": 3.0}
    )
    made = recommend(asked, PREDICTOR)
    assert 3 <= len(made.reasons) <= 5
    assert all(reason in made.explanation for reason in made.reasons)
    assert all(len(reason) < 500 for reason in made.reasons)


def test_it_answers_with_baselines_reasons_and_a_command() -> None:
    made = recommend(query(source_gpu="A100"), PREDICTOR)
    assert made.target_gpu == "H100-80GB"
    assert made.best == made.candidates[0]
    assert len(made.candidates) == 5
    assert made.keep_source is not None
    assert set(made.baselines) == {"largest", "most_popular"}
    assert f"--max-num-seqs {made.best.batch_size}" in made.best.command
    assert "90 % interval" in made.explanation
    assert any("H100 is taken for H100-80GB (the SXM part)" in remark for remark in made.remarks)


def test_the_contract_has_its_keys() -> None:
    answer = recommend(query(), PREDICTOR).to_dict()
    assert {
        *("model", "engine", "target_gpu", "workload", "best", "candidates", "keep_source"),
        *("explanation", "recommendation_id", "schema", "frontier", "reasons", "engine_version"),
    } <= set(answer)
    assert answer["schema"] == 2
    assert {
        *("engine", "n_gpus", "batch_size", "output_throughput", "low", "high", "p_feasible"),
        *("fits", "output_throughput_per_gpu", "ttft_ms", "tpot_ms", "memory_gb", "status"),
        *("command", "replicas", "total_gpus", "total_output_throughput", "total_low"),
        *("total_high", "tok_s_per_user"),
    } <= set(answer["best"])


def test_what_was_measured_on_the_target_stands() -> None:
    known = [record(gpu="H100-80GB", n_gpus=2, batch_size=64, output_throughput=123456.0)]
    made = recommend(query(), PREDICTOR, known)
    assert (made.best.n_gpus, made.best.batch_size, made.best.status) == (2, 64, "measured")
    assert made.best.output_throughput == 123456.0
    assert made.engine_version == "0.26.0"
    assert "It holds for vllm 0.26.0, with which known runs were measured" in made.remarks


def test_a_small_gpu_s_line_shortens_sequences_and_says_why() -> None:
    made = recommend(query(target_gpu="L4", max_gpus=1), PREDICTOR)
    found = re.search(r"--max-model-len (\d+)$", made.best.command)
    assert found is not None
    assert 8_000 < int(found[1]) < 32_000
    assert sum(remark.startswith(f"{found[0]}: a sequence") for remark in made.remarks) == 1
    large = recommend(query(), PREDICTOR)
    assert not [text for text in (large.best.command, *large.remarks) if "--max-model-len" in text]


def test_what_is_deployed_is_what_was_measured_and_the_rest_is_said() -> None:
    known = [
        record(
            source="autotune", gpu="H100-80GB", batch_size=64, output_throughput=123456.0,
            knobs={"block_size": 32},
        )
    ]  # fmt: skip
    made = recommend(query(), PREDICTOR, known)
    assert made.best.command.endswith("--block-size 32 --data-parallel-size 8")
    assert made.best.measured_otherwise.startswith("Measured without prefix caching")
    other = next(c for c in made.landscape if c.status == "predicted")
    assert other.measured_otherwise.startswith("Predicted as it would be measured: without prefix")


def test_a_suspect_run_does_not_count_as_measured() -> None:
    known = [record(gpu="H100-80GB", batch_size=64, output_throughput=1e6, suspect=True)]
    assert all(c.status == "predicted" for c in recommend(query(), PREDICTOR, known).landscape)


def test_a_run_of_another_dtype_or_quantization_is_another_configuration() -> None:
    known = [
        record(gpu="H100-80GB", batch_size=64, dtype="float32"),
        record(gpu="H100-80GB", batch_size=32, quantization="fp8"),
    ]
    asked = recommend(query(dtype="bfloat16"), PREDICTOR, known)
    assert all(c.status == "predicted" for c in asked.landscape)


@pytest.mark.parametrize("engine", ["vllm", "hf"])
def test_a_configuration_that_ran_out_of_memory_is_never_recommended(engine: str) -> None:
    best = recommend(query(engine=engine), PREDICTOR).best
    failed = record(
        engine=engine,
        gpu="H100-80GB",
        n_gpus=best.n_gpus,
        batch_size=best.batch_size,
        status="out_of_memory",
        output_throughput=None,
    )
    made = recommend(query(engine=engine), PREDICTOR, [failed])
    assert (best.n_gpus, best.batch_size) not in {(c.n_gpus, c.batch_size) for c in made.candidates}


def test_keeping_means_the_sources_best_measured_configuration() -> None:
    known = [
        record(gpu="A100-80GB", batch_size=8, output_throughput=900.0),
        record(gpu="A100-80GB", batch_size=32, output_throughput=2500.0),
        record(gpu="A100-80GB", batch_size=64, output_throughput=2400.0),
    ]
    made = recommend(query(source_gpu="A100-80GB"), PREDICTOR, known)
    assert made.keep_source is not None
    assert (made.keep_source.n_gpus, made.keep_source.batch_size) == (1, 32)
    assert "Keeping the source's 1 GPU at batch size 32" in made.explanation


def test_what_is_kept_stays_unless_a_change_promises_enough() -> None:
    asked = query(max_gpus=1, tolerance=0.0)
    best, second, *_ = recommend(asked, PREDICTOR).candidates
    assert second.output_throughput > 0.96 * best.output_throughput
    there = recommend(dataclasses.replace(asked, target_gpu="A100-80GB"), PREDICTOR).landscape
    [expected] = [c.output_throughput for c in there if c.batch_size == second.batch_size]
    serving = record(gpu="A100-80GB", batch_size=second.batch_size, output_throughput=expected)
    made = recommend(dataclasses.replace(asked, source_gpu="A100-80GB"), PREDICTOR, [serving])
    assert (made.best.n_gpus, made.best.batch_size) == (1, second.batch_size)
    assert "It is the very configuration of the source GPU." in made.explanation
    assert "a change should promise 5%" in made.explanation


def test_nothing_fits_says_how_much_is_missing() -> None:
    with pytest.raises(NothingFitsError, match=r"does not fit on 8 x T4: .* GB a GPU"):
        recommend(query(model="meta-llama/Llama-3.1-405B", target_gpu="T4"), PREDICTOR)


@pytest.mark.parametrize(
    ("quantization", "weights_gb", "advice"),
    [
        (None, 66, "quantise (--quantization fp8), or name"),
        ("fp8", 34, "take a 4-bit checkpoint (--quantization awq), or name"),
        ("awq", 19, "allow more GPUs (--max-gpus), or name"),
    ],
)
def test_what_does_not_fit_is_refused_in_the_format_that_was_asked_for(
    quantization: str | None, weights_gb: int, advice: str
) -> None:
    asked = query(
        model="meta-llama/Llama-3.1-70B", target_gpu="T4", max_gpus=2, quantization=quantization
    )
    with pytest.raises(NothingFitsError) as refused:
        recommend(asked, PREDICTOR)
    assert f"({weights_gb} GB of them weights)" in str(refused.value)
    assert advice in str(refused.value)


def test_where_memory_is_enough_the_runs_that_failed_are_the_reason() -> None:
    failed = record(gpu="H200", batch_size=1, status="out_of_memory", output_throughput=None)
    told = r"should fit on H200 by arithmetic, but runs like it failed\. .* --batch-sizes 1$"
    with pytest.raises(NothingFitsError, match=told):
        recommend(query(target_gpu="H200", max_gpus=1), PREDICTOR, [failed])


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"target_gpu": "H1000000"}, UnknownGpuError),
        ({"workload": Workload(input_len=200_000)}, InvalidConfigError),
    ],
)
def test_wrong_questions_are_refused(changes: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        recommend(query(**changes), PREDICTOR)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, f"vllm serve {MODEL} --tensor-parallel-size 1 --max-num-seqs 8"),
        ({"dtype": "bfloat16", "quantization": "fp8"}, "--dtype bfloat16 --quantization fp8"),
        ({"engine": "hf", "n_gpus": 2}, "CUDA_VISIBLE_DEVICES=0,1: pipeline("),
    ],
)
def test_the_line_to_deploy_is_the_engines_own(changes: dict[str, Any], expected: str) -> None:
    assert expected in command(record(**changes).configuration)


def test_heads_limit_tensor_parallelism_but_not_pipelines() -> None:
    profile, gpu = find_model("microsoft/phi-1"), load_gpus()["A100-40GB"]
    both = enumerate_configurations(query(engine="all"), profile, gpu)
    assert all(profile.n_heads % c.n_gpus == 0 for c in both if c.engine == "vllm")
    assert {c.n_gpus for c in both if c.engine == "hf"} == {1, 2, 4, 8}


@settings(max_examples=60, deadline=None)
@given(
    model=st.sampled_from(catalogue_names()),
    gpu=st.sampled_from(sorted(load_gpus())),
    engine=st.sampled_from(["vllm", "hf", "all"]),
)
def test_any_catalogue_pair_gets_finite_ordered_answers_or_a_reason(
    model: str, gpu: str, engine: str
) -> None:
    asked = query(
        model=model, target_gpu=gpu, engine=engine, workload=Workload(input_len=64, output_len=16)
    )
    try:
        made = recommend(asked, PREDICTOR)
    except NothingFitsError:
        return
    for found in made.landscape:
        assert 0 < found.low <= found.output_throughput <= found.high
        assert math.isfinite(found.high)
        assert 0 <= found.p_feasible <= 1
    assert all(c.is_feasible for c in made.candidates)


def test_three_measured_cells_move_the_rest_towards_them() -> None:
    asked = query(target_gpu="H200", max_gpus=1)
    questions = enumerate_configurations(asked, find_model(MODEL), load_gpus()["H200"])
    before = {c.batch_size: c for c in evaluate_candidates(questions, PREDICTOR, [], asked)}
    known = [
        record(gpu="H200", batch_size=b, output_throughput=before[b].output_throughput / 2)
        for b in (1, 32, 512)
    ]
    after = {c.batch_size: c for c in evaluate_candidates(questions, PREDICTOR, known, asked)}
    for batch in (2, 8, 64, 256):
        ratio = after[batch].output_throughput / before[batch].output_throughput
        assert 0.4 < ratio < 0.75
        assert after[batch].high / after[batch].low < before[batch].high / before[batch].low


def test_every_candidate_has_its_cost_and_energy() -> None:
    made = recommend(query(prices={"H100-80GB": 3.6}, objective="cost"), PREDICTOR)
    for c in made.landscape:
        assert c.cost_per_mtok == pytest.approx(c.n_gpus * 3.6 / 3600 / c.output_throughput * 1e6)
        assert c.energy_j_per_token is not None
    assert made.best.cost_per_mtok == pytest.approx(
        min(c.cost_per_mtok or 0.0 for c in made.landscape if c.is_feasible), rel=0.02
    )
    assert all(c.cost_per_mtok is None for c in recommend(query(), PREDICTOR).landscape)


def test_a_measured_energy_stands() -> None:
    run = record(gpu="H100-80GB", batch_size=64, energy_j_per_token=0.123)
    made = recommend(query(), PREDICTOR, [run])
    (found,) = (c for c in made.landscape if c.status == "measured")
    assert found.energy_j_per_token == pytest.approx(0.123)


def test_per_gpu_says_how_to_spend_the_gpus() -> None:
    made = recommend(query(objective="per-gpu", max_gpus=8), PREDICTOR)
    plan = made.to_dict()["deployment"]
    assert plan["replicas"] == 8 // made.best.n_gpus
    assert plan["output_throughput"] == pytest.approx(
        plan["replicas"] * made.best.output_throughput
    )
    assert f"{plan['replicas']} replicas on 8 GPUs" in made.explanation
    assert recommend(query(objective="replica"), PREDICTOR).best.replicas == 1


@pytest.mark.parametrize("objective", ["throughput", "per-gpu", "energy", "goodput"])
def test_what_is_expected_to_miss_a_limit_is_not_recommended(objective: str) -> None:
    slo = Slo(max_ttft_ms=500, max_tpot_ms=20)
    made = recommend(query(objective=objective, slo=slo, top=99), PREDICTOR)
    for c in made.candidates:
        assert c.ttft_ms is not None
        assert c.ttft_ms <= 500
        assert c.tpot_ms is not None
        assert c.tpot_ms <= 20
    assert "expected to miss mean TTFT up to 500 ms, mean TPOT up to 20 ms" in made.explanation


limits = st.none() | st.floats(5.0, 2000.0)


@settings(max_examples=30, deadline=None)
@given(ttft=limits, tpot=limits, factor=st.floats(0.1, 1.0))
def test_more_and_tighter_limits_never_leave_more_candidates(
    ttft: float | None, tpot: float | None, factor: float
) -> None:
    def left(slo: Slo) -> set[tuple[int, int]]:
        try:
            made = recommend(query(slo=slo, top=99), PREDICTOR)
        except LimitsNotMetError:
            return set()
        return {(c.n_gpus, c.batch_size) for c in made.candidates}

    few = Slo(max_ttft_ms=ttft)
    more = Slo(max_ttft_ms=None if ttft is None else ttft * factor, max_tpot_ms=tpot)
    assert left(more) <= left(few)


def test_when_nothing_meets_the_limits_the_nearest_is_named() -> None:
    with pytest.raises(LimitsNotMetError, match=r"batch size 1, has TTFT .* over 5 ms\)"):
        recommend(query(slo=Slo(max_ttft_ms=5)), PREDICTOR)


def test_a_measured_latency_decides() -> None:
    slo = Slo(max_ttft_ms=500)
    known = [record(gpu="H100-80GB", batch_size=8, mean_ttft_ms=501.0)]
    made = recommend(query(slo=slo, top=99), PREDICTOR, known)
    assert (1, 8) not in {(c.n_gpus, c.batch_size) for c in made.candidates}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": "cost"}, "price of H100-80GB.*--price H100="),
        ({"objective": "cost", "prices": {"L4": 1.0}}, "prices were given for L4"),
        ({"objective": "energy", "target_gpu": "cpu", "max_gpus": 1}, "no power"),
    ],
)
def test_an_objective_without_what_it_needs_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidConfigError, match=words):
        recommend(query(**changes), PREDICTOR)


@pytest.mark.parametrize("objective", ["throughput", "per-gpu", "cost", "energy", "goodput"])
def test_a_migration_compares_the_source_with_the_recommendation(objective: str) -> None:
    asked = query(
        objective=objective,
        source_gpu="A100",
        prices={"H100-80GB": 2.9, "A100-80GB": 1.8},
        slo=Slo(max_tpot_ms=50) if objective == "goodput" else Slo(),
    )
    made = recommend(asked, PREDICTOR)
    moved = made.migration
    assert moved is not None
    assert moved.after == made.best
    assert moved.before.cost_per_mtok is not None
    assert (moved.source_gpu, moved.target_gpu) == ("A100-80GB", "H100-80GB")
    assert moved.reason in made.explanation
    assert recommend(query(), PREDICTOR).migration is None


def test_before_is_the_sources_measured_configuration() -> None:
    known = [
        record(gpu="A100-80GB", batch_size=8, output_throughput=900.0),
        record(gpu="A100-80GB", batch_size=32, output_throughput=2500.0),
    ]
    moved = recommend(query(source_gpu="A100-80GB"), PREDICTOR, known).migration
    assert moved is not None
    assert (moved.before.status, moved.before.output_throughput) == ("measured", 2500.0)


def test_staying_on_the_gpu_is_no_migration() -> None:
    made = recommend(query(source_gpu="H100"), PREDICTOR)
    assert made.keep_source is not None
    assert made.migration is None


def test_a_source_on_which_nothing_runs_is_no_migration() -> None:
    asked = query(model="meta-llama/Llama-3.1-70B", source_gpu="T4", max_gpus=4)
    made = recommend(asked, PREDICTOR)
    assert (made.keep_source, made.migration) == (None, None)


def test_where_the_evidence_is_far_the_runs_that_would_help_are_named() -> None:
    made = recommend(query(), PREDICTOR)
    assert made.best.confidence == "low"
    assert "The runs that would help the decision most: vllm on" in made.explanation
    known = [record(gpu="H100-80GB", batch_size=b, output_throughput=100.0 * b) for b in (1, 2, 4)]
    assert "would help" not in recommend(query(max_gpus=1), PREDICTOR, known).explanation


def test_all_engines_are_compared() -> None:
    assert "hf at its best" in recommend(query(engine="all"), PREDICTOR).explanation
