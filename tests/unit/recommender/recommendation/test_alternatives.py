"""Smaller formats: which are offered, and what they are said to bring."""

from typing import Any

import pytest

from autotune.errors import InvalidConfigError
from recommender.recommendation.alternatives import Alternative
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
MODEL = "meta-llama/Llama-3.1-8B"
WEIGHTS, CACHE = {"quantization": "fp8"}, {"kv_cache_dtype": "fp8"}
INT4 = {"quantization": "awq"}


def offered(gpu: str, known: Any = (), **changes: Any) -> list[Alternative]:
    query = Query(**({"model": MODEL, "target_gpu": gpu} | changes))
    return list(recommend(query, PREDICTOR, known).alternatives)


@pytest.mark.parametrize(
    ("gpu", "changes", "expected"),
    [
        ("H100", {}, [WEIGHTS, CACHE, WEIGHTS | CACHE, INT4]),
        ("H100", {"quantization": "fp8"}, [CACHE]),
        ("H100", {"kv_cache_dtype": "fp8"}, [WEIGHTS, INT4]),
        ("A100", {}, [WEIGHTS, INT4]),
        ("V100", {}, []),
        ("H100", {"engine": "hf"}, []),
        ("cpu", {}, []),
        ("H100", {"model": "openai/gpt-oss-20b"}, [CACHE]),
    ],
)
def test_only_what_the_engine_runs_there_is_offered(
    gpu: str, changes: dict[str, Any], expected: list[dict[str, str]]
) -> None:
    assert [dict(one.change) for one in offered(gpu, **changes)] == expected


def test_weights_that_are_unpacked_save_memory_and_not_time() -> None:
    by_gpu = {gpu: offered(gpu)[0] for gpu in ("A100", "H100")}
    assert [by_gpu[gpu].native for gpu in ("A100", "H100")] == [False, True]
    assert "saves memory, not time" in by_gpu["A100"].remark
    assert "saves memory" not in by_gpu["H100"].remark
    assert by_gpu["A100"].gain < 0.1 < by_gpu["H100"].gain
    assert all(one.memory_freed_gb > 5 for one in by_gpu.values())
    assert all("quality is not measured here" in one.remark for one in by_gpu.values())


def test_gains_have_an_interval_and_a_line_to_deploy() -> None:
    for one in offered("H100"):
        assert one.gain_low < one.gain < one.gain_high
        for name, value in one.change.items():
            assert f"--{name.replace('_', '-')} {value}" in one.best.command
    both = offered("H100")[2]
    assert both.name == "fp8 weights and fp8 KV cache"
    assert Alternative.from_dict(both.to_dict()) == both


def test_fewer_gpus_that_would_do_are_said() -> None:
    made = recommend(Query(model="meta-llama/Llama-3.1-70B", target_gpu="H100"), PREDICTOR)
    said = ["a replica would do" in one.remark for one in made.alternatives]
    assert said == [one.best.n_gpus < made.best.n_gpus for one in made.alternatives]
    assert any(said)


def test_a_measured_run_of_another_cache_is_another_configuration() -> None:
    known = [
        record(gpu="H100-80GB", batch_size=64, output_throughput=9999.0, knobs=dict(CACHE)),
    ]
    plain = recommend(Query(model=MODEL, target_gpu="H100"), PREDICTOR, known)
    assert all(c.status == "predicted" for c in plain.landscape)
    small = recommend(Query(model=MODEL, target_gpu="H100", **CACHE), PREDICTOR, known)
    (measured,) = (c for c in small.landscape if c.status == "measured")
    assert measured.output_throughput == 9999.0


def test_fp8_on_a_v100_is_refused_by_name() -> None:
    query = Query(model=MODEL, target_gpu="V100", quantization="fp8")
    with pytest.raises(InvalidConfigError, match=r"fp8: .* V100-32GB .* 7.0, 7.5 is needed"):
        recommend(query, PREDICTOR)
    with pytest.raises(InvalidConfigError, match="kv_cache_dtype"):
        Query(model=MODEL, target_gpu="H100", kv_cache_dtype="int2")
