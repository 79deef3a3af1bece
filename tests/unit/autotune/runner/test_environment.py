"""What counts as a secret, and what is left of a text without them."""

import pytest

from autotune.errors import InvalidConfigError
from autotune.runner.environment import is_secret, scrub, without_secrets
from autotune.schema.engine_config import EngineConfig

SECRET = (
    *("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"),
    *(
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "OPENAI_API_KEY",
        "WANDB_API_KEY",
        "PGPASSWORD",
    ),
    *("GITHUB_TOKEN", "my_secret", "DB_PASSWD", "SSH_PRIVATE_KEY", "AZURE_CREDENTIALS"),
)
PLAIN = (
    *(
        "TOKENIZERS_PARALLELISM",
        "PATH",
        "PWD",
        "HF_HOME",
        "CUDA_VISIBLE_DEVICES",
        "OMP_NUM_THREADS",
    ),
    *("MLFLOW_TRACKING_URI", "VLLM_CPU_KVCACHE_SPACE", "AUTHOR", "KEYBOARD", "HF_HUB_OFFLINE"),
)


@pytest.mark.parametrize("name", SECRET)
def test_a_secret_is_told_by_its_name(name: str) -> None:
    assert is_secret(name)
    assert without_secrets({name: "x", "PATH": "/bin"}) == {"PATH": "/bin"}


@pytest.mark.parametrize("name", PLAIN)
def test_other_variables_go_to_the_engine(name: str) -> None:
    assert not is_secret(name, "http://127.0.0.1:5000")
    assert without_secrets({name: "value"}) == {name: "value"}


def test_an_address_with_a_login_is_a_secret_wherever_it_is() -> None:
    assert is_secret("DATABASE", "postgresql://me:pass-word@host/db")
    text = "cannot reach postgresql://me:pass-word@host/db or http://token@host, mail a@b.c"
    assert scrub(text) == "cannot reach postgresql://***@host/db or http://***@host, mail a@b.c"


def test_the_values_of_secret_variables_are_taken_out_of_texts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_0123456789")
    monkeypatch.setenv("MY_PASSWORD", "hf_0123456789-and-more")
    monkeypatch.setenv("SHORT_TOKEN", "the")
    assert scrub("the token hf_0123456789, hf_0123456789-and-more") == "the token ***, ***"


def test_an_engine_that_may_go_online_has_the_hub_s_token_alone() -> None:
    given = {"HF_HUB_OFFLINE": "0", "HF_TOKEN": "a", "MLFLOW_TRACKING_PASSWORD": "b"}
    assert without_secrets(given) == {"HF_HUB_OFFLINE": "0", "HF_TOKEN": "a"}
    assert without_secrets(given | {"HF_HUB_OFFLINE": "1"}) == {"HF_HUB_OFFLINE": "1"}


@pytest.mark.parametrize("knob", ["hf_token", "api_key"])
def test_a_knob_that_would_write_a_secret_down_is_refused(knob: str) -> None:
    with pytest.raises(InvalidConfigError, match=knob):
        EngineConfig(engine="vllm", model="gpt2", gpu="H100", knobs={knob: "hf_0123456789"})
