"""Which files and which config an engine is started with, by the name of a model."""

import json
from pathlib import Path

import pytest

from autotune.catalog import models
from autotune.catalog.models import model_config
from autotune.engines.weights import find_weights
from tests.unit.autotune.catalog.test_model_files import lay_out
from tests.unit.autotune.catalog.test_naming import SMALL

LLAMA = "meta-llama/Llama-3.1-8B"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(models, "_REMEMBERED", {})
    return tmp_path / "hub"


def test_a_name_alone_is_a_config_with_random_weights() -> None:
    found = find_weights(LLAMA)
    assert (found.kind, found.directory) == ("random", None)
    assert found.config == model_config(LLAMA)


def test_like_is_a_config_with_random_weights() -> None:
    found = find_weights("my-company/tuned", LLAMA)
    assert (found.kind, found.directory) == ("random", None)
    assert found.config == model_config(LLAMA)


def test_an_estimate_is_started_in_the_format_that_its_name_tells() -> None:
    found = find_weights("somebody/Llama-3.1-8B-AWQ")
    assert found.config["quantization_config"]["quant_method"] == "awq"


def test_what_is_cached_is_loaded(cache: Path) -> None:
    snapshot = lay_out(cache, "org/cached", "c0ffee1", SMALL)
    assert find_weights("org/cached").kind == "random"
    (snapshot / "model.safetensors").write_bytes(b"")
    found = find_weights("org/cached")
    assert (found.kind, found.directory, found.config) == ("checkpoint", snapshot, SMALL)


def test_a_directory_s_config_need_not_be_one_that_can_be_sized(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "unheard-of"}))
    found = find_weights(str(tmp_path))
    assert found.config == {"model_type": "unheard-of"}
    assert found.directory == tmp_path
