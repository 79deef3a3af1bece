"""Runs of other models correct predictions of this one."""

import dataclasses
import json
from pathlib import Path

import pytest

from autotune.schema.record import RunRecord
from autotune.store.cache import RecordCache
from recommender.commands.context import open_context
from recommender.commands.predict import predict_file
from recommender.commands.recommend import advise
from recommender.recommendation.candidates import configuration_of, place_of
from recommender.recommendation.query import Query
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.evidence import MOST, related_runs
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
OWN = {"source": "autotune", "gpu": "H200"}


def other(batch_size: int, factor: float = 1.0, **changes: object) -> RunRecord:
    """Return a run of another model, so many times as fast as the surrogate says."""
    asked = record(**(OWN | {"model": "Qwen/Qwen3-8B", "batch_size": batch_size} | changes))
    [said] = PREDICTOR.predict([asked.configuration])
    return record(**{
        **OWN, "model": "Qwen/Qwen3-8B", "batch_size": batch_size, **changes,
        "output_throughput": factor * said.output_throughput,
    })  # fmt: skip


SLOW = [other(2**k, 0.6) for k in range(9)]


def test_those_on_the_target_come_first_and_other_engines_not_at_all() -> None:
    there = [other(b) for b in range(1, 201)]
    elsewhere = [other(b, gpu="H100-80GB") for b in range(1, 201)]
    strangers = [other(8, engine="hf")]
    chosen = related_runs((), [*elsewhere, *strangers, *there], gpu="H200", engines=["vllm"])
    assert len(chosen) == MOST
    assert chosen[: len(there)] == there
    assert {run.engine for run in chosen} == {"vllm"}
    assert len(related_runs((), [*strangers, *there], gpu="H200", engines=["vllm", "hf"])) == 201


def test_they_are_of_the_harness_of_the_models_own_runs() -> None:
    imported = [other(8, source="one"), other(16, source="two")]
    others = [*imported, other(32)]

    def of(*sources: str) -> list[str]:
        known = [record(source=source) for source in sources]
        return [r.source for r in related_runs(known, others, gpu="H200", engines=["vllm"])]

    assert of() == ["autotune"]
    assert of("one") == ["one"]
    assert of("one", "autotune") == ["autotune"]
    assert of("one", "two") == []


@pytest.fixture
def uri(tmp_path: Path) -> str:
    RecordCache(tmp_path).replace(SLOW)
    return f"sqlite:///{tmp_path}/mlflow.db"


def told(uri: str) -> Recommendation:
    return advise(Query(model="meta-llama/Llama-3.1-8B", target_gpu="H200", max_gpus=1), uri)


def test_a_recommendation_rests_on_them_and_says_so(uri: str, tmp_path: Path) -> None:
    blind = told(f"sqlite:///{tmp_path}/nothing/mlflow.db")
    made = told(uri)
    assert made.best.output_throughput < 0.8 * blind.best.output_throughput
    assert made.best.high / made.best.low < blind.best.high / blind.best.low
    assert made.n_known_runs == 0
    assert "9 known runs of others, 9 of them on H200, correct it" in made.explanation
    assert "known runs of others" not in blind.explanation


def test_a_prediction_is_what_a_recommendation_says_of_the_same_configuration(
    uri: str, tmp_path: Path
) -> None:
    RecordCache(tmp_path).extend([record(gpu="H200", batch_size=64, output_throughput=2500.0)])
    made = told(uri)
    asked = tmp_path / "asked.jsonl"
    questions = [configuration_of(made.query, "H200", *place_of(c)) for c in made.landscape]
    asked.write_text("".join(f"{json.dumps(dataclasses.asdict(q))}\n" for q in questions))
    rows = predict_file(asked, uri)
    assert {row["status"] for row in rows} == {"measured", "predicted"}
    for row, candidate in zip(rows, made.landscape, strict=True):
        shared = {key: value for key, value in candidate.to_dict().items() if key in row}
        assert shared == {key: row[key] for key in shared}
        assert {"output_throughput", "low", "high", "p_feasible", "ttft_ms"} <= shared.keys()


def test_what_is_added_to_a_store_counts_at_once(uri: str, tmp_path: Path) -> None:
    added = other(300)
    RecordCache(tmp_path).extend([added])
    context = open_context("meta-llama/Llama-3.1-8B", uri)
    assert added in context.evidence("H200", ["vllm"])
    assert context.known == ()
    mine = open_context("Qwen/Qwen3-8B", uri)
    assert len(mine.known) == len(mine.evidence("H200", ["vllm"])) == len(SLOW) + 1
