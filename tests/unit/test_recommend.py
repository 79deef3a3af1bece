"""The decision: ranking, plateaus, baselines, measured cells, failures."""

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.errors import InvalidConfigError, NothingFitsError, UnknownGpuError
from autotune.gpus import load_gpus
from autotune.models import catalogue_names, find_model
from autotune.spec import Workload
from recommender.candidates import Candidate, command, enumerate_configurations, price
from recommender.predictor import PRETRAINED, Predictor
from recommender.query import Query
from recommender.recommend import rank, recommend
from tests.records import record

MODEL = "meta-llama/Llama-3.1-8B"
PREDICTOR = Predictor.load(PRETRAINED)


def candidate(n_gpus: int, batch_size: int, throughput: float, **changes: Any) -> Candidate:
    values: dict[str, Any] = {
        "engine": "vllm",
        "n_gpus": n_gpus,
        "batch_size": batch_size,
        "output_throughput": throughput,
        "low": throughput / 1.5,
        "high": throughput * 1.5,
        "p_feasible": 1.0,
        "fits": True,
        "output_throughput_per_gpu": throughput / n_gpus,
        "ttft_ms": None,
        "tpot_ms": None,
        "memory_gb": 1.0,
        "status": "predicted",
        "command": "",
        "bottleneck": "weights",
        "confidence": "low",
    }
    return Candidate(**(values | changes))


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
    assert rank(landscape, query())[0].n_gpus == 8


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
        *("explanation", "recommendation_id"),
    } <= set(answer)
    assert {
        *("engine", "n_gpus", "batch_size", "output_throughput", "low", "high", "p_feasible"),
        *("fits", "output_throughput_per_gpu", "ttft_ms", "tpot_ms", "memory_gb", "status"),
        "command",
    } <= set(answer["best"])


def test_what_was_measured_on_the_target_stands() -> None:
    known = [record(gpu="H100-80GB", n_gpus=2, batch_size=64, output_throughput=123456.0)]
    made = recommend(query(), PREDICTOR, known)
    assert (made.best.n_gpus, made.best.batch_size, made.best.status) == (2, 64, "measured")
    assert made.best.output_throughput == 123456.0


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
    assert "Keeping the source's 1 GPUs and batch size 32" in made.explanation


def test_nothing_fits_says_how_much_is_missing() -> None:
    with pytest.raises(NothingFitsError, match=r"does not fit on 8 x T4: .* GB a GPU"):
        recommend(query(model="meta-llama/Llama-3.1-405B", target_gpu="T4"), PREDICTOR)


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
    before = {c.batch_size: c for c in price(questions, PREDICTOR, [])}
    known = [
        record(gpu="H200", batch_size=b, output_throughput=before[b].output_throughput / 2)
        for b in (1, 32, 512)
    ]
    after = {c.batch_size: c for c in price(questions, PREDICTOR, known)}
    for batch in (2, 8, 64, 256):
        ratio = after[batch].output_throughput / before[batch].output_throughput
        assert 0.4 < ratio < 0.75
        assert after[batch].high / after[batch].low < before[batch].high / before[batch].low
