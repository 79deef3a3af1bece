"""Published names: their last words tell a format, and bound the size."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.catalog.architecture.profile import published_dtype
from autotune.catalog.memory import weight_bytes
from autotune.catalog.models import catalogue_names, find_model, model_config
from autotune.catalog.published_names import (
    FORMATS,
    in_format,
    most_bytes,
    quantised_config,
    split_name,
)
from autotune.errors import UnknownModelError

# Ending -> what it is called.
ENDINGS = {
    "AWQ": "AWQ 4-bit",
    "AWQ-4bit": "AWQ 4-bit",
    "AWQ-INT4": "AWQ 4-bit",
    "awq-w4a16": "AWQ 4-bit",
    "AWQ-8bit": "AWQ 8-bit",
    "GPTQ": "GPTQ 4-bit",
    "GPTQ-Int4": "GPTQ 4-bit",
    "GPTQ-Int8": "GPTQ 8-bit",
    "GPTQ-4bit-32g": "GPTQ 4-bit",
    "int4-AutoRound": "GPTQ 4-bit",
    "FP8": "FP8",
    "FP8-dynamic": "FP8",
    "FP8-KV": "FP8",
    "FP8-block": "FP8",
    "W8A8-FP8": "FP8",
    "NVFP4": "NVFP4",
    "FP4": "NVFP4",
    "MXFP4": "MXFP4",
    "bnb-4bit": "bitsandbytes 4-bit",
    "unsloth-bnb-4bit": "bitsandbytes 4-bit",
    "BNB-NF4": "bitsandbytes 4-bit",
    "bnb-8bit": "bitsandbytes 8-bit",
    "W4A16": "4-bit integers",
    "W4A16-G128": "4-bit integers",
    "quantized.w4a16": "4-bit integers",
    "quantized.w8a16": "8-bit integers",
    "W8A8": "W8A8",
    "quantized.w8a8": "W8A8",
    "W8A8-INT8": "W8A8",
    "INT4": "4-bit integers",
    "INT8": "8-bit integers",
}
word = st.from_regex(r"[A-Za-z][A-Za-z0-9]{1,8}", fullmatch=True)
size = st.from_regex(r"[1-9][0-9]?(\.[0-9])?B", fullmatch=True)
# No word of a base tells a format, or stands beside one that does.
bases = st.tuples(word, size, st.sampled_from(["Instruct", "Chat-v0.3", "it", "2507", "4"])).map(
    "-".join
)
publishers = st.sampled_from(["", "TheBloke/", "RedHatAI/", "some.body_else/"])


def in_some_case(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from([text, text.lower(), text.upper(), text.title()])


@given(bases, publishers, st.sampled_from(sorted(ENDINGS)), st.sampled_from("-_."), st.data())
def test_base_and_format_come_out_as_they_went_in(
    base: str, publisher: str, ending: str, separator: str, data: st.DataObject
) -> None:
    split = split_name(publisher + base + separator + data.draw(in_some_case(ending)))
    assert split is not None
    assert split == (base, FORMATS[ENDINGS[ending]])


@given(bases, publishers)
def test_a_name_without_an_ending_tells_no_format(base: str, publisher: str) -> None:
    assert split_name(publisher + base) is None


@given(st.text(max_size=40))
def test_any_text_is_split_into_what_it_begins_with_or_not_at_all(text: str) -> None:
    split = split_name(text)
    assert split is None or (split[0] and split[0] in text)


@pytest.mark.parametrize(
    "name", ["AWQ", "org/FP8", "-AWQ", "m-4bit", "m-dynamic", "m-GGUF", "m-AWQ-GGUF", "mAWQ", "kv"]
)
def test_what_is_no_ending_after_a_base_tells_nothing(name: str) -> None:
    assert split_name(name) is None


def test_a_number_of_the_base_is_not_taken_for_bits() -> None:
    split = split_name("unsloth/Phi-4-bnb-4-bit")
    assert split is not None
    assert split[0] == "Phi-4"


@pytest.mark.parametrize("name", [name for name in catalogue_names() if split_name(name) is None])
def test_an_estimate_lies_between_its_format_s_own_size_and_16_bits(name: str) -> None:
    base = find_model(name)
    for form in FORMATS.values():
        bound = most_bytes(base, form)
        assert weight_bytes(base, form.dtype) <= bound * (1 + 1e-9)
        assert bound <= 2 * base.n_params * 1.1


@pytest.mark.parametrize("name", ["meta-llama/Llama-3.1-8B", "Qwen/Qwen2.5-72B"])
def test_a_dense_model_s_bound_is_near_what_groups_of_128_take(name: str) -> None:
    base = find_model(name)
    wide = 2 * base.vocab_size * base.hidden_size
    # 4 bits, and a 16-bit scale with a 4-bit zero point for each 128 of them
    usual = 2 * wide + (base.n_params - wide) * (4 + 20 / 128) / 8
    assert usual < most_bytes(base, FORMATS["AWQ 4-bit"]) < 1.12 * usual


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
@pytest.mark.parametrize("name", ["Qwen/Qwen3-8B", "google/gemma-3-27b-it", "moonshotai/Kimi-K2.5"])
def test_the_config_of_an_estimate_says_its_format(name: str, form: object) -> None:
    assert form in FORMATS.values()
    chosen = next(one for one in FORMATS.values() if one is form)
    config = quantised_config(model_config(name), chosen)
    assert published_dtype(config) == chosen.dtype
    json.dumps(config)


def test_an_estimate_says_so_and_is_sized_by_its_bound() -> None:
    base, form = find_model("Qwen/Qwen3-8B"), FORMATS["AWQ 4-bit"]
    made = in_format(base, form, "somebody/Qwen3-8B-AWQ")
    assert made.name == "somebody/Qwen3-8B-AWQ"
    assert made.taken_for == "Qwen/Qwen3-8B"
    assert made.dtype == "int4"
    assert made.published_params_b is None
    assert "upper bound" in made.source
    assert weight_bytes(made, "auto") == weight_bytes(made, "int4") == most_bytes(base, form)
    assert weight_bytes(made, "fp8") == weight_bytes(base, "fp8")
    assert find_model("somebody/qwen3-8b-awq").taken_for == "Qwen/Qwen3-8B"


def test_a_converted_base_is_found_without_its_hf() -> None:
    assert find_model("TheBloke/CodeLlama-7B-Python-AWQ").taken_for == "codellama/CodeLlama-7b-hf"


def test_an_ending_on_an_unknown_base_is_an_unknown_model() -> None:
    with pytest.raises(UnknownModelError, match="--like"):
        find_model("somebody/Unheard-Of-7B-AWQ")


def test_a_catalogue_s_own_quantised_model_is_no_estimate() -> None:
    found = find_model("nvidia/Llama-3.1-8B-Instruct-FP8")
    assert (found.taken_for, found.checkpoint_bytes) == (None, None)


PAGE = Path(__file__).parents[4] / "docs" / "model-names.md"
TABLES = [
    tuple(cell.strip().strip("`") for cell in line.strip("|").split("|"))
    for line in PAGE.read_text(encoding="utf-8").splitlines()
    if line.startswith("| `")
]
ROWS = [row for row in TABLES if "/" in row[0]]


@pytest.mark.parametrize("row", [row for row in TABLES if row not in ROWS], ids=str)
def test_the_page_s_endings_mean_what_it_says(row: tuple[str, ...]) -> None:
    for ending in row[0].split("`, `"):
        split = split_name(f"Some-7B-{ending}")
        assert split is not None
        assert split[0] == "Some-7B"
        assert (split[1].text, f"{split[1].most_bytes:.2f}") == row[1:]


def test_the_page_has_forty_names() -> None:
    assert len({row[0] for row in ROWS}) == len(ROWS) >= 40


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_the_page_s_names_resolve_as_it_says(row: tuple[str, ...]) -> None:
    name, base, form, size_gb = row
    found = find_model(name)
    split = split_name(name)
    assert split is not None
    assert (found.taken_for, split[1].text) == (base, form)
    assert f"{(found.checkpoint_bytes or 0) / 1e9:.1f}" == size_gb
