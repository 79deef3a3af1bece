"""`autotune recommend` and `predict`: what a model's name was taken for, and what is deployed."""

import json
from pathlib import Path

import pytest

from autotune.catalog import models
from autotune.errors import InvalidConfigError, InvalidRecordError
from recommender.commands.context import open_context
from recommender.commands.predict import predict_file
from recommender.commands.recommend import advise
from recommender.recommendation.query import Query, recommend_line
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.deploying import deployment
from tests.unit.autotune.catalog.test_model_files import lay_out
from tests.unit.autotune.catalog.test_naming import SMALL

LLAMA = "meta-llama/Llama-3.1-8B"


@pytest.fixture
def uri(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models, "_REMEMBERED", {})
    return f"sqlite:///{tmp_path}/mlflow.db"


def told(model: str, uri: str, like: str | None = None) -> Recommendation:
    return advise(Query(model=model, like=like, target_gpu="H200", max_gpus=1), uri)


def test_a_catalogue_s_own_name_is_deployed_and_needs_no_remark(uri: str) -> None:
    made = told(LLAMA, uri)
    assert (made.query.published, made.query.like) == (None, None)
    assert f"vllm serve {LLAMA} " in made.best.command
    assert not [remark for remark in made.remarks if LLAMA in remark]


def test_a_fine_tune_is_deployed_by_its_name_and_advised_as_its_base(uri: str) -> None:
    made, base = told(f"{LLAMA}-Instruct", uri), told(LLAMA, uri)
    assert made.to_dict()["model"] == LLAMA
    assert made.best.output_throughput == base.best.output_throughput
    assert f"vllm serve {LLAMA}-Instruct " in made.best.command
    assert f"--model {LLAMA}-Instruct " in recommend_line(made.query)
    assert any(f"{LLAMA}-Instruct was taken for {LLAMA}" in text for text in made.remarks)
    ways = deployment(made, None, ())
    assert ways.count(f"{LLAMA}-Instruct") == 3
    assert f"{LLAMA} " not in ways


def test_an_estimate_is_told_and_deployed_by_the_name_that_was_typed(uri: str) -> None:
    name = "RedHatAI/Meta-Llama-3.1-8B-Instruct-FP8-dynamic"
    made = told(name, uri)
    assert made.to_dict()["model"] == name
    assert f"vllm serve {name} " in made.best.command
    said = [remark for remark in made.to_dict()["remarks"] if remark.startswith(name)]
    assert len(said) == 1
    assert "upper bound" in said[0]
    assert made.best.memory_gb < told(LLAMA, uri).best.memory_gb


def test_like_stays_with_the_answer(uri: str, tmp_path: Path) -> None:
    made = told("my-company/tuned", uri, LLAMA)
    assert made.best.output_throughput == pytest.approx(told(LLAMA, uri).best.output_throughput)
    assert "vllm serve my-company/tuned " in made.best.command
    assert f"--model my-company/tuned --like {LLAMA} " in recommend_line(made.query)
    models._REMEMBERED.clear()
    kept = ledger.load(made.recommendation_id, tmp_path)
    assert kept.query == made.query
    assert open_context(kept.query.deployed, uri, kept.query.like).model == "my-company/tuned"


def test_a_name_that_means_another_model_later_is_answered_for_that(uri: str) -> None:
    first, second = (told("my-company/changed", uri, base) for base in (LLAMA, "Qwen/Qwen3-0.6B"))
    assert first.best.output_throughput < second.best.output_throughput


def test_like_with_an_unknown_base_is_refused(uri: str) -> None:
    with pytest.raises(InvalidConfigError, match=r"like='nobody/nothing'.*--like BASE"):
        told("my-company/tuned", uri, "nobody/nothing")


def test_a_config_json_is_deployed_as_its_directory(uri: str, tmp_path: Path) -> None:
    directory = tmp_path / "own"
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(SMALL | {"max_position_embeddings": 4096}))
    made = told(str(directory / "config.json"), uri)
    assert made.query.model_path == str(directory)
    assert f"vllm serve {directory} " in made.best.command


def test_a_cached_model_is_advised_by_its_own_config(uri: str, tmp_path: Path) -> None:
    config = SMALL | {"max_position_embeddings": 4096}
    lay_out(tmp_path / "hub", "org/cached", "c0ffee1", config)
    made = told("org/cached", uri)
    assert "vllm serve org/cached " in made.best.command
    assert any("local Hugging Face cache" in remark for remark in made.remarks)


def test_predictions_say_once_what_their_models_were_taken_for(uri: str, tmp_path: Path) -> None:
    line = {"engine": "vllm", "gpu": "H200", "n_gpus": 1, "input_len": 512, "output_len": 128}
    names = (LLAMA, "my-company/tuned", "my-company/tuned")
    asked = tmp_path / "asked.jsonl"
    asked.write_text(
        "".join(
            f"{json.dumps({**line, 'model': name, 'batch_size': 8 + i})}\n"
            for i, name in enumerate(names)
        )
    )
    remarks: list[str] = []
    rows = predict_file(asked, uri, LLAMA, remarks.append)
    assert [row["model"] for row in rows] == list(names)
    assert len([text for text in remarks if text.startswith("my-company/tuned was taken")]) == 1
    models._REMEMBERED.clear()
    with pytest.raises(InvalidRecordError, match=r"asked\.jsonl:2: unknown model.*--like BASE"):
        predict_file(asked, uri)
