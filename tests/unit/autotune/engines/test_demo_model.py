"""The demo model is whole, real and the same every time."""

import json
from pathlib import Path

import pytest

from autotune.catalog.models import load_profile_dir
from autotune.engines.demo_model import (
    CONFIG,
    VOCAB_SIZE,
    build_demo_model,
    is_demo_model,
    weight_shapes,
)
from autotune.errors import InvalidConfigError


def test_the_directory_holds_a_checkpoint_of_the_configured_shapes(demo_model: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    tensors = safetensors.load_file(demo_model / "model.safetensors")
    assert {name: tensor.shape for name, tensor in tensors.items()} == weight_shapes()
    n_params = sum(tensor.size for tensor in tensors.values())
    assert load_profile_dir(demo_model).n_params == n_params


def test_the_tokenizer_is_real_and_fits_the_vocabulary(demo_model: Path) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(demo_model / "tokenizer.json"))
    text = "def measure(batch_size: int) -> float: # naïve 測試"
    assert tokenizer.get_vocab_size() <= VOCAB_SIZE
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_building_again_changes_nothing(demo_model: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in demo_model.iterdir()}
    assert build_demo_model(demo_model) == demo_model
    assert {path.name: path.stat().st_mtime_ns for path in demo_model.iterdir()} == before
    assert is_demo_model(demo_model)


def test_a_directory_with_something_else_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG | {"hidden_size": 1}))
    with pytest.raises(InvalidConfigError, match="not empty"):
        build_demo_model(tmp_path)
    (tmp_path / "config.json").write_text("{")
    assert not is_demo_model(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


def test_an_empty_directory_is_filled(tmp_path: Path) -> None:
    pytest.importorskip("tokenizers")
    target = tmp_path / "new" / "model"
    target.mkdir(parents=True)
    build_demo_model(target)
    assert is_demo_model(target)
    assert [path.name for path in target.parent.iterdir()] == ["model"]
