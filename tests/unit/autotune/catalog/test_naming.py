"""What a name is taken for, and from where."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from autotune.catalog import models
from autotune.catalog.hub import ask_hub
from autotune.catalog.memory import weight_bytes
from autotune.catalog.models import find_model, model_config
from autotune.catalog.naming import identify_model, name_model
from autotune.catalog.recorded_models import (
    CHECKPOINT_BYTES,
    MODEL_CONFIG,
    TAKEN_FOR,
    remember_recorded,
)
from autotune.errors import InvalidConfigError, InvalidModelConfigError, UnknownModelError
from tests.support.hub import FakeHub, fake_hub
from tests.support.records import record
from tests.unit.autotune.catalog.test_model_files import lay_out

SMALL: dict[str, Any] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "vocab_size": 1000,
    "torch_dtype": "bfloat16",
}
LLAMA = "meta-llama/Llama-3.1-8B"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, no Hub, and a process that remembers nothing."""
    folder = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(folder))
    monkeypatch.setattr(models, "_REMEMBERED", {})
    ask_hub.cache_clear()
    return folder


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    pytest.importorskip("huggingface_hub", reason="the extra `hf` brings it")
    with fake_hub() as fake:
        monkeypatch.setenv("HF_ENDPOINT", fake.endpoint)
        monkeypatch.delenv("HF_HUB_OFFLINE")
        yield fake


def write(directory: Path, config: object = SMALL) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "config.json").write_text(json.dumps(config))
    return directory


def test_a_directory_and_its_config_json_are_one_model(tmp_path: Path) -> None:
    directory = write(tmp_path / "my-model")
    for asked in (str(directory), str(directory / "config.json")):
        named = name_model(asked)
        assert named.profile.name == "my-model"
        assert (named.published, named.directory) == (str(directory), directory)
        assert named.carried == {MODEL_CONFIG: SMALL}
        assert find_model("my-model") == named.profile


def test_a_directory_of_a_catalogue_s_shape_has_its_name_and_says_so(tmp_path: Path) -> None:
    directory = write(tmp_path / "Llama-3.1-8B", model_config(LLAMA))
    named = name_model(str(directory))
    assert named.profile == find_model(LLAMA)
    assert named.remark == f"{directory} was taken for {LLAMA}, whose shape it has"
    assert find_model("Llama-3.1-8B") == find_model(LLAMA)


@pytest.mark.parametrize(
    "change", [{"num_hidden_layers": 31}, {"quantization_config": {"bits": 4}}]
)
def test_a_directory_of_another_shape_or_format_is_a_model_of_its_own(
    tmp_path: Path, change: dict[str, object]
) -> None:
    directory = write(tmp_path / "Llama-3.1-8B", model_config(LLAMA) | change)
    assert identify_model(str(directory)).name == "Llama-3.1-8B"


def test_a_cached_model_is_described_by_its_own_files(cache: Path) -> None:
    snapshot = lay_out(cache, "org/cached", "c0ffee1", SMALL)
    index = {"metadata": {"total_size": 4711}}
    (snapshot / "model.safetensors.index.json").write_text(json.dumps(index))
    named = name_model("org/cached")
    assert (named.profile.name, named.published, named.directory) == (
        "org/cached", "org/cached", snapshot)  # fmt: skip
    assert weight_bytes(named.profile, "auto") == 4711
    assert named.carried == {MODEL_CONFIG: SMALL, CHECKPOINT_BYTES: 4711}
    assert "local Hugging Face cache (c0ffee1)" in (named.remark or "")
    assert find_model("org/cached") == named.profile


def test_a_cached_model_of_the_catalogue_keeps_name_and_profile(cache: Path) -> None:
    bare = {k: v for k, v in model_config(LLAMA).items() if k not in ("head_dim", "vocab_size")}
    snapshot = lay_out(cache, LLAMA, "c0ffee1", bare | {"vocab_size": 128260})
    named = name_model(LLAMA)
    assert named.profile == find_model(LLAMA)
    assert (named.directory, named.carried, named.remark) == (snapshot, {}, None)


def test_a_cached_config_that_cannot_be_read_leaves_the_catalogue(cache: Path) -> None:
    (lay_out(cache, LLAMA, "c0ffee1") / "config.json").write_text("{")
    assert name_model(LLAMA).profile == find_model(LLAMA)


def test_a_cached_model_of_another_shape_is_what_is_served(cache: Path) -> None:
    lay_out(cache, LLAMA, "c0ffee1", SMALL)
    named = name_model(LLAMA)
    assert named.profile.n_layers == 2
    assert named.published == LLAMA
    assert "is not the catalogue's model" in (named.remark or "")
    assert find_model(LLAMA).n_layers == 2


@pytest.mark.parametrize(
    ("asked", "published", "remark"),
    [
        (LLAMA, LLAMA, None),
        ("llama-3.1-8b", LLAMA, None),
        ("LLaMA 7B", "huggyllama/llama-7b", None),
        ("Llama-3.1-8B-Instruct", f"{LLAMA}-Instruct", f"taken for {LLAMA} "),
        ("META-LLAMA/llama-3.1-8b-instruct", f"{LLAMA}-Instruct", f"taken for {LLAMA} "),
        ("mirror/Llama-3.1-8B", "mirror/Llama-3.1-8B", f"taken for {LLAMA} "),
    ],
)
def test_the_catalogue_s_models_are_served_by_their_own_name(
    asked: str, published: str, remark: str | None
) -> None:
    named = name_model(asked)
    assert named.profile is find_model(LLAMA if "3.1" in asked else "huggyllama/llama-7b")
    assert named.published == published
    assert named.carried == {}
    assert remark in named.remark if remark and named.remark else named.remark == remark


def test_the_hub_is_asked_for_what_nothing_here_knows(served: FakeHub, cache: Path) -> None:
    served.files["org/there"] = {"config.json": SMALL}
    named = name_model("org/there")
    assert named.profile.n_layers == 2
    assert "the Hub gave" in (named.remark or "")
    assert named.directory is not None
    assert named.directory.is_relative_to(cache)
    served.files.clear()
    ask_hub.cache_clear()
    assert name_model("org/there").profile.n_layers == 2


def test_the_hub_is_not_asked_for_a_model_of_the_catalogue(served: FakeHub) -> None:
    name_model(LLAMA)
    name_model("mirror/Llama-3.1-8B-Instruct")
    assert served.asked == []


def test_the_hub_knows_better_than_a_name_s_ending(served: FakeHub) -> None:
    name = "somebody/Llama-3.1-8B-AWQ"
    assert name_model(name).profile.taken_for == LLAMA
    served.files[name] = {"config.json": SMALL}
    ask_hub.cache_clear()
    assert name_model(name).profile.taken_for is None


def test_an_ending_is_an_estimate_and_says_why(served: FakeHub) -> None:
    named = name_model("somebody/Llama-3.1-8B-Instruct-AWQ")
    assert named.remark == (
        f"somebody/Llama-3.1-8B-Instruct-AWQ was taken for {LLAMA} in AWQ 4-bit, by its name; its "
        "size is an upper bound. The Hub has no model of this name, or hides it from who is not "
        "logged in (HF_TOKEN)"
    )
    assert named.published == named.profile.name == "somebody/Llama-3.1-8B-Instruct-AWQ"
    assert named.carried[TAKEN_FOR] == LLAMA
    assert named.carried[CHECKPOINT_BYTES] == named.profile.checkpoint_bytes


def test_a_hub_that_is_none_is_an_error_although_the_name_tells_enough(served: FakeHub) -> None:
    served.strange["somebody/Llama-3.1-8B-AWQ"] = "html"
    with pytest.raises(InvalidModelConfigError, match="HF_ENDPOINT"):
        name_model("somebody/Llama-3.1-8B-AWQ")


def test_an_unknown_name_says_what_there_is_to_do() -> None:
    with pytest.raises(UnknownModelError) as caught:
        name_model("Qwen/Qwen2.5-7.5B")
    said = str(caught.value)
    assert "Did you mean" in said
    assert "The Hub was not asked: HF_HUB_OFFLINE is set." in said
    assert "directory" in said
    assert "--like BASE" in said
    assert caught.value.exit_code == 2


def test_like_lends_a_name_the_architecture_of_a_base() -> None:
    base, named = find_model(LLAMA), name_model("my-company/tuned", f"{LLAMA}-Instruct")
    assert named.profile.name == named.published == "my-company/tuned"
    assert named.remark == f"my-company/tuned was taken for {LLAMA}, by --like"
    assert named.carried == {MODEL_CONFIG: model_config(LLAMA), TAKEN_FOR: LLAMA}
    changed = {"name", "source", "published_params_b", "taken_for"}
    for field in dataclasses.fields(base):
        same = getattr(base, field.name) == getattr(named.profile, field.name)
        assert same == (field.name not in changed)
    assert find_model("my-company/tuned") == named.profile


def test_like_asks_no_hub(served: FakeHub) -> None:
    name_model("my-company/tuned", LLAMA)
    assert served.asked == []


def test_like_takes_a_directory_and_a_quantised_name(tmp_path: Path) -> None:
    assert name_model("a/b", str(write(tmp_path / "own"))).profile.n_layers == 2
    assert name_model("a/c", "somebody/Llama-3.1-8B-AWQ").profile.dtype == "int4"


def test_like_with_an_unknown_base_is_refused() -> None:
    with pytest.raises(InvalidConfigError, match=r"like='nobody/nothing': unknown model") as caught:
        name_model("my-company/tuned", "nobody/nothing")
    assert caught.value.exit_code == 2


def test_like_is_not_used_where_the_name_is_known_and_that_is_said(tmp_path: Path) -> None:
    for name in (LLAMA, str(write(tmp_path / "own"))):
        named = name_model(name, "Qwen/Qwen3-8B")
        assert named.profile.taken_for is None
        assert "--like Qwen/Qwen3-8B was not used" in (named.remark or "")


@pytest.mark.parametrize("like", [None, LLAMA])
def test_records_carry_what_their_model_is(like: str | None) -> None:
    name = "my-company/tuned" if like else "somebody/Llama-3.1-8B-AWQ"
    named = name_model(name, like)
    carried = json.loads(json.dumps(dict(named.carried)))
    models._REMEMBERED.clear()
    remember_recorded([record(model=name, environment=carried)])
    known = find_model(name)
    assert known.taken_for == LLAMA
    assert known.checkpoint_bytes == named.profile.checkpoint_bytes
    assert known.n_params == named.profile.n_params
    assert known.dtype == named.profile.dtype
    again = name_model(name)
    assert "as in its recorded runs" in (again.remark or "")


def test_a_recorded_model_with_a_config_of_its_own_needs_no_hub(served: FakeHub) -> None:
    remember_recorded([record(model="org/measured", environment={MODEL_CONFIG: SMALL})])
    named = name_model("org/measured")
    assert named.profile.n_layers == 2
    assert "recorded runs" in (named.remark or "")
    assert served.asked == []
