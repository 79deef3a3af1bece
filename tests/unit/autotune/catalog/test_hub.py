"""Asking the Hub, against one on this machine."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.catalog import hub
from autotune.catalog.hub import ask_hub
from autotune.catalog.model_files import cached_snapshot, read_files
from autotune.errors import InvalidModelConfigError
from tests.support.hub import COMMIT, FakeHub, fake_hub

pytest.importorskip("huggingface_hub", reason="the extra `hf` brings it")
CONFIG = {"model_type": "llama", "hidden_size": 64}


@pytest.fixture(scope="module")
def served() -> Iterator[FakeHub]:
    with fake_hub() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _asks_there(served: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", served.endpoint)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_TOKEN"):
        monkeypatch.delenv(variable, raising=False)
    ask_hub.cache_clear()
    served.asked.clear()
    served.tokens.clear()


def test_what_describes_a_model_is_fetched_and_nothing_else(served: FakeHub) -> None:
    index = {"metadata": {"total_size": 4711}, "weight_map": {}}
    served.files["org/plain"] = {
        "config.json": CONFIG,
        "model.safetensors.index.json": index,
        "model.safetensors": "weights",
    }
    answer = ask_hub("org/plain")
    assert answer.directory == cached_snapshot("org/plain")
    assert answer.directory is not None
    assert answer.directory.name == COMMIT
    files = read_files(answer.directory)
    assert (files.config, files.checkpoint_bytes) == (CONFIG, 4711)
    files_of = "/org/plain/resolve/main/"
    got = {path.removeprefix(files_of) for method, path in served.asked if method == "GET"}
    got = {file for file in got if not file.startswith("/")}
    assert got == {"config.json", "model.safetensors.index.json"}


def test_a_process_asks_once(served: FakeHub) -> None:
    served.files["org/once"] = {"config.json": CONFIG}
    ask_hub("org/once")
    asked = len(served.asked)
    ask_hub("org/once")
    assert len(served.asked) == asked


@pytest.mark.parametrize(
    ("file", "content", "method"),
    [
        ("hf_quant_config.json", {"quantization": {"quant_algo": "FP8"}}, "modelopt"),
        ("quantize_config.json", {"bits": 4, "group_size": 128}, "gptq"),
        ("quant_config.json", {"w_bit": 4, "q_group_size": 64}, "awq"),
    ],
)
def test_a_format_told_beside_the_config_is_read(
    served: FakeHub, file: str, content: dict[str, object], method: str
) -> None:
    served.files[f"org/{method}"] = {"config.json": CONFIG, file: content}
    directory = ask_hub(f"org/{method}").directory
    assert directory is not None
    told = read_files(directory).config["quantization_config"]
    assert isinstance(told, dict)
    assert told["quant_method"] == method


def test_the_token_of_the_environment_is_sent(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    served.files["org/private"] = {"config.json": CONFIG}
    monkeypatch.setenv("HF_TOKEN", "hf_of_a_test")
    assert ask_hub("org/private").directory is not None
    assert set(served.tokens) == {"Bearer hf_of_a_test"}


@pytest.mark.parametrize("variable", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
def test_offline_nobody_is_asked(
    served: FakeHub, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    monkeypatch.setenv(variable, "1")
    assert ask_hub("org/plain").reason == f"was not asked: {variable} is set"
    assert served.asked == []


@pytest.mark.parametrize(
    "name", ["plain", "a/b/c", "../up", "org/", "org/na me", "ORG/" + "x" * 99]
)
def test_what_is_no_name_of_a_repository_is_not_asked_for(served: FakeHub, name: str) -> None:
    assert "ORG/NAME" in ask_hub(name).reason
    assert served.asked == []


def test_without_its_package_the_hub_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    monkeypatch.setattr(hub.importlib.util, "find_spec", lambda name: None)
    assert "extra `hf`" in ask_hub("org/plain").reason


@pytest.mark.parametrize(
    ("closed", "reason"),
    [
        ((401, "RepoNotFound"), "has no model of this name"),
        ((404, "RepoNotFound"), "has no model of this name"),
        ((403, "GatedRepo"), "accepted its terms"),
        ((503, ""), "could not be reached"),
    ],
)
def test_a_refusal_is_a_reason(served: FakeHub, closed: tuple[int, str], reason: str) -> None:
    served.closed["org/closed"] = closed
    answer = ask_hub("org/closed")
    assert answer.directory is None
    assert reason in answer.reason


def test_a_repository_without_a_config_says_so(served: FakeHub) -> None:
    served.files["org/adapter"] = {"adapter_config.json": {}}
    assert ask_hub("org/adapter").reason == "has no config.json of it"


def test_nobody_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_hub() as gone:
        endpoint = gone.endpoint
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "could not be reached" in ask_hub("org/plain").reason


def test_silence_is_given_up(served: FakeHub) -> None:
    served.strange["org/silent"] = "silence"
    assert ask_hub("org/silent", 0.5).reason == "did not answer within 0.5 s"


@pytest.mark.parametrize("how", ["html", "loop"])
def test_who_is_no_hub_is_refused_in_one_sentence(served: FakeHub, how: str) -> None:
    served.strange["org/strange"] = how
    with pytest.raises(InvalidModelConfigError, match=r"check HF_ENDPOINT") as caught:
        ask_hub("org/strange")
    assert served.endpoint in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("text", ["<html></html>", "[]", json.dumps(CONFIG)[:-3]])
def test_what_is_no_config_is_refused_and_not_kept(served: FakeHub, text: str) -> None:
    served.files["org/broken"] = {"config.json": text}
    with pytest.raises(InvalidModelConfigError, match=r"not JSON.*HF_HUB_OFFLINE"):
        ask_hub("org/broken")
    assert cached_snapshot("org/broken") is None
