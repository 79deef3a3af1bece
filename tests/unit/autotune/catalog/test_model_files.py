"""Files that describe a model, in a directory and in the Hugging Face cache."""

import json
import os
from pathlib import Path

import pytest

from autotune.catalog.model_files import (
    cache_directory,
    cached_snapshot,
    model_directory,
    read_files,
)
from autotune.errors import InvalidModelConfigError

CONFIG = {"model_type": "llama", "hidden_size": 64}


def lay_out(cache: Path, name: str, commit: str, config: object = CONFIG) -> Path:
    """Put a snapshot where huggingface_hub does."""
    snapshot = cache / f"models--{name.replace('/', '--')}" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text(json.dumps(config))
    return snapshot


def make_main(cache: Path, name: str, commit: str) -> None:
    refs = cache / f"models--{name.replace('/', '--')}" / "refs"
    refs.mkdir(parents=True, exist_ok=True)
    (refs / "main").write_text(commit)


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def test_the_snapshot_of_main_counts(cache: Path) -> None:
    old, new = (lay_out(cache, "org/m", commit) for commit in ("aaaaaa1", "bbbbbb2"))
    os.utime(old, (10, 10))
    assert cached_snapshot("org/m") == new
    make_main(cache, "org/m", "aaaaaa1")
    assert cached_snapshot("org/m") == old


@pytest.mark.parametrize("commit", ["../../../outside", "", "\0", "gone000"])
def test_a_main_that_leads_nowhere_leaves_the_newest(cache: Path, commit: str) -> None:
    there = lay_out(cache, "org/m", "aaaaaa1")
    make_main(cache, "org/m", commit)
    assert cached_snapshot("org/m") == there


@pytest.mark.parametrize("name", ["org/none", "", "/", "..", "a\0b", "x" * 5000])
def test_what_is_not_cached_is_none(cache: Path, name: str) -> None:
    assert cached_snapshot(name) is None


def test_a_snapshot_without_a_config_is_none(cache: Path) -> None:
    (lay_out(cache, "org/m", "aaaaaa1") / "config.json").unlink()
    assert cached_snapshot("org/m") is None


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"HF_HUB_CACHE": "/a", "HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"}, "/a"),
        ({"HUGGINGFACE_HUB_CACHE": "/b", "HF_HOME": "/c"}, "/b"),
        ({"HF_HOME": "/c", "XDG_CACHE_HOME": "/d"}, "/c/hub"),
        ({"XDG_CACHE_HOME": "/d"}, "/d/huggingface/hub"),
        ({}, "/home/me/.cache/huggingface/hub"),
        ({"HF_HOME": "~/hf"}, "/home/me/hf/hub"),
        ({"HF_HUB_CACHE": "$XDG_CACHE_HOME/x", "XDG_CACHE_HOME": "/d"}, "/d/x"),
    ],
)
def test_the_cache_is_where_its_variables_say(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **environment}.items():
        monkeypatch.setenv(name, value)
    assert cache_directory() == Path(expected)


def test_a_directory_and_its_config_are_the_same_model(tmp_path: Path) -> None:
    assert model_directory(str(tmp_path)) is None
    (tmp_path / "config.json").write_text("{}")
    assert model_directory(str(tmp_path)) == tmp_path
    assert model_directory(str(tmp_path / "config.json")) == tmp_path


@pytest.mark.parametrize(
    ("index", "expected"),
    [
        ({"metadata": {"total_size": 4711}}, 4711),
        ({"metadata": {"total_size": 4711.0}}, 4711),
        ({"metadata": {"total_size": 0}}, None),
        ({"metadata": {"total_size": True}}, None),
        ({"metadata": {"total_size": "4711"}}, None),
        ({"metadata": {"total_size": 0.5}}, None),
        ({"metadata": {"total_size": float("inf")}}, None),
        ({"metadata": None}, None),
        ({}, None),
    ],
)
def test_the_bytes_are_those_of_the_index(
    tmp_path: Path, index: dict[str, object], expected: int | None
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    assert read_files(tmp_path).checkpoint_bytes == expected


def test_what_the_config_says_of_its_format_wins(tmp_path: Path) -> None:
    own = {**CONFIG, "quantization_config": {"quant_method": "fp8"}}
    (tmp_path / "config.json").write_text(json.dumps(own))
    (tmp_path / "quantize_config.json").write_text('{"bits": 8}')
    assert read_files(tmp_path).config == own


@pytest.mark.parametrize("text", ["", "[]", "3", "{", "[" * 100_000, '{"a": NaN'])
def test_a_broken_file_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    broken = tmp_path / "model.safetensors.index.json"
    broken.write_text(text)
    with pytest.raises(InvalidModelConfigError, match=broken.name):
        read_files(tmp_path)
