"""The model catalogue, its look-up, and profiles worked out from config.json."""

import csv
import gzip
import json
from pathlib import Path

import pytest

from autotune.catalog.architecture.profile import profile_from_config
from autotune.catalog.models import (
    catalogue_names,
    find_model,
    load_models,
    load_profile_dir,
    model_config,
)
from autotune.errors import InvalidModelConfigError, UnknownModelError
from tests.support.shared_data import DATA

PUBLISHED = DATA / "published_runs.csv.gz"
SMALL: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 160,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 1000,
    "max_position_embeddings": 512,
    "torch_dtype": "float32",
}


@pytest.mark.parametrize("name", catalogue_names())
def test_computed_size_is_the_published_one(name: str) -> None:
    profile = find_model(name)
    assert profile.published_params_b is not None
    assert profile.n_params / 1e9 == pytest.approx(profile.published_params_b, rel=0.03)
    assert 0 < profile.n_active_params <= profile.n_params
    assert profile.kv_elements_per_token > 0
    assert profile.n_sliding_layers <= profile.n_attention_layers <= profile.n_layers
    assert (profile.n_experts == 0) == (profile.n_expert_params == 0)


@pytest.mark.parametrize(
    ("name", "exact"),
    [
        ("meta-llama/Llama-2-7b-hf", 6_738_415_616),
        ("meta-llama/Llama-3.1-8B", 8_030_261_248),
        ("openai-community/gpt2", 124_439_808),
        ("facebook/opt-6.7b", 6_658_473_984),
        ("bigscience/bloom-7b1", 7_069_016_064),
        ("EleutherAI/gpt-neox-20b", 20_554_567_680),
        ("EleutherAI/gpt-j-6b", 6_050_882_784),
        ("Qwen/Qwen2.5-7B", 7_615_616_512),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("google/gemma-2-2b", 2_614_341_888),
        ("google/gemma-7b", 8_537_680_896),
        ("bigcode/starcoder2-3b", 3_030_371_328),
        ("mistralai/Mixtral-8x7B-v0.1", 46_702_792_704),
        ("microsoft/phi-2", 2_779_683_840),
        ("deepseek-ai/DeepSeek-V3", 671_026_404_352),
        ("google/flan-t5-xl", 2_849_757_184),
    ],
)
def test_count_is_exact(name: str, exact: int) -> None:
    assert find_model(name).n_params == exact


@pytest.mark.parametrize(
    ("name", "active_b"),
    [
        ("mistralai/Mixtral-8x7B-v0.1", 12.9),
        ("deepseek-ai/DeepSeek-V3", 37),
        ("Qwen/Qwen3-235B-A22B", 22),
        ("openai/gpt-oss-120b", 5.1),
        ("moonshotai/Kimi-K2.5", 32),
        ("Qwen/Qwen3.5-397B-A17B", 17),
        ("zai-org/GLM-5", 40),
        ("meta-llama/Llama-4-Maverick-17B-128E", 17),
    ],
)
def test_active_parameters_are_as_published(name: str, active_b: float) -> None:
    profile = find_model(name)
    assert profile.n_active_params / 1e9 == pytest.approx(active_b, rel=0.08)
    idle = profile.n_experts - profile.n_experts_per_token
    assert profile.n_active_params + idle * profile.n_expert_params <= profile.n_params


@pytest.mark.parametrize(
    ("name", "per_layer", "layers"),
    [
        ("meta-llama/Llama-2-7b-hf", 2 * 32 * 128, 32),
        ("meta-llama/Meta-Llama-3-8B", 2 * 8 * 128, 32),
        ("bigcode/starcoder", 2 * 1 * 128, 40),
        ("tiiuae/falcon-7b", 2 * 1 * 64, 32),
        ("tiiuae/falcon-180B", 2 * 8 * 64, 80),
        ("deepseek-ai/DeepSeek-V3", 512 + 64, 61),
        ("google/flan-t5-xl", 2 * 32 * 64, 24),
        ("nvidia/NVIDIA-Nemotron-Nano-9B-v2", 2 * 8 * 128, 4),
        ("Qwen/Qwen3.5-397B-A17B", 2 * 2 * 256, 15),
    ],
)
def test_cached_elements_of_a_token(name: str, per_layer: int, layers: int) -> None:
    profile = find_model(name)
    assert profile.n_attention_layers == layers
    assert profile.kv_elements_per_token == per_layer * layers


@pytest.mark.parametrize(
    ("name", "window", "layers"),
    [
        ("mistralai/Mistral-7B-v0.1", 4096, 32),
        ("mistralai/Mistral-7B-v0.3", None, 0),
        ("google/gemma-2-9b", 4096, 21),
        ("google/gemma-3-27b-it", 1024, 52),
        ("openai/gpt-oss-20b", 128, 12),
        ("Qwen/Qwen2.5-7B", None, 0),
        ("meta-llama/Llama-4-Scout-17B-16E", 8192, 36),
    ],
)
def test_sliding_windows(name: str, window: int | None, layers: int) -> None:
    profile = find_model(name)
    assert (profile.sliding_window, profile.n_sliding_layers) == (window, layers)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("meta-llama/Llama-2-7b-hf", "float16"),
        ("deepseek-ai/DeepSeek-R1", "fp8"),
        ("nvidia/DeepSeek-R1-NVFP4", "nvfp4"),
        ("nvidia/Llama-3.1-8B-Instruct-FP8", "fp8"),
        ("meta-llama/Llama-3.1-405B-Instruct-FP8", "fp8"),
        ("meta-llama/Llama-4-Maverick-17B-128E-Instruct-FP8", "fp8"),
        ("openai/gpt-oss-120b", "mxfp4"),
        ("moonshotai/Kimi-K2.5", "int4"),
        ("google/flan-t5-xl", "float32"),
    ],
)
def test_published_dtype(name: str, dtype: str) -> None:
    assert find_model(name).dtype == dtype


def test_encoder_decoder_tells_its_stacks_apart() -> None:
    profile = find_model("google/flan-t5-xxl")
    assert profile.is_encoder_decoder
    assert 0 < profile.n_encoder_params < profile.n_params / 2


def test_recurrent_layers_keep_a_state() -> None:
    assert find_model("nvidia/NVIDIA-Nemotron-Nano-9B-v2").state_elements > 27 * 128 * 80 * 128
    assert find_model("meta-llama/Llama-2-7b-hf").state_elements == 0


def test_no_name_means_two_models() -> None:
    owners: dict[str, str] = {}
    for entry in load_models().values():
        for name in (entry.name, *entry.aliases):
            assert owners.setdefault(name.lower(), entry.name) == entry.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("llama-3.1-8b", "meta-llama/Llama-3.1-8B"),
        ("META-LLAMA/LLAMA-3.1-8B-INSTRUCT", "meta-llama/Llama-3.1-8B"),
        ("LLaMA 7B", "huggyllama/llama-7b"),
        ("LLaMA 70B", "meta-llama/Llama-2-70b-hf"),
        ("Falcon 180B", "tiiuae/falcon-180B"),
        ("GPT-J 6B", "EleutherAI/gpt-j-6b"),
        ("mirror/Mixtral-8x7B-v0.1", "mistralai/Mixtral-8x7B-v0.1"),
    ],
)
def test_spellings_resolve(name: str, expected: str) -> None:
    assert find_model(name).name == expected


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModelError, match=r"Qwen2\.5-7B"):
        find_model("Qwen/Qwen2.5-7.5B")


@pytest.mark.skipif(not PUBLISHED.exists(), reason="published_runs.csv.gz is not here")
def test_models_of_the_published_runs_resolve() -> None:
    with gzip.open(PUBLISHED, "rt", encoding="utf-8") as file:
        names = {row["model"] for row in csv.DictReader(file)}
    assert all(find_model(name) for name in names)


def test_directory_is_read_like_the_catalogue(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(model_config("Qwen/Qwen3-8B")))
    profile = find_model(str(tmp_path))
    assert profile == load_profile_dir(tmp_path)
    assert profile.n_params == find_model("Qwen/Qwen3-8B").n_params
    assert profile.published_params_b is None
    assert model_config(str(tmp_path)) == model_config("Qwen/Qwen3-8B")


def test_small_llama_by_hand() -> None:
    attention = 64 * 64 * 2 + 64 * 32 * 2
    layer = attention + 3 * 64 * 160 + 2 * 64
    profile = profile_from_config(SMALL, name="small")
    assert profile.n_params == 2 * 1000 * 64 + 2 * layer + 64
    assert profile.n_active_params == profile.n_params - 1000 * 64
    assert profile.kv_elements_per_token == 2 * 2 * 2 * 16


def test_unknown_model_type_counts_as_a_llama() -> None:
    known = profile_from_config(SMALL, name="small")
    unknown = profile_from_config({**SMALL, "model_type": "brand_new"}, name="small")
    assert unknown.n_params == known.n_params


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden_size": None}, "hidden_size"),
        ({"vocab_size": 0}, "vocab_size"),
        ({"num_attention_heads": "four"}, "num_attention_heads"),
        ({"num_key_value_heads": 3}, "num_key_value_heads"),
        ({"num_attention_heads": 7, "num_key_value_heads": 7}, "hidden_size 64"),
        ({"layer_types": ["full_attention"]}, "1 layer types for 2"),
        ({"layer_types": ["full_attention", "telepathy"]}, "telepathy"),
        ({"num_experts": 8}, "num_experts_per_tok"),
        ({"model_type": "brand_new", "hidden_size": None}, "brand_new"),
    ],
)
def test_unusable_config_names_the_key(change: dict[str, object], message: str) -> None:
    with pytest.raises(InvalidModelConfigError, match=message):
        profile_from_config({**SMALL, **change}, name="small")


@pytest.mark.parametrize("text", ["{", "[]"])
def test_broken_config_file_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(InvalidModelConfigError, match=r"config\.json"):
        load_profile_dir(tmp_path)
