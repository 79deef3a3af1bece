"""Loads have the lengths, the datasets and the arrivals asked for, and come from their seed."""

import json
import random
import statistics
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.engines.base import Load
from autotune.engines.prompts.files import resolve_prompts, split_words
from autotune.engines.prompts.synthetic import (
    LoadMaker,
    code_completion,
    draw_lengths,
    random_prompt,
)
from autotune.errors import InvalidConfigError
from autotune.schema.workload import Workload

VOCAB = 2048


def encode(text: str) -> list[int]:
    return [len(word) for word in split_words(text)]


def make(workload: Workload, batch_size: int, index: int = 0, seed: int = 0) -> Load:
    maker = LoadMaker(workload, encode=encode, vocab_size=VOCAB, seed=seed)
    return maker.make(batch_size, index)


@given(st.integers(1, 50), st.integers(2, 5000), st.integers(0, 2**31))
def test_a_random_prompt_has_the_asked_length_and_vocabulary(
    length: int, vocab_size: int, seed: int
) -> None:
    prompt = random_prompt(length, vocab_size, random.Random(seed))
    assert len(prompt) == length
    assert all(min(100, vocab_size // 2) <= token < vocab_size for token in prompt)


def test_a_seed_gives_the_same_load_and_another_seed_or_pass_another() -> None:
    workload = Workload(input_len=16, output_len=4)
    assert make(workload, 4) == make(workload, 4)
    assert make(workload, 4).prompts != make(workload, 4, seed=1).prompts
    assert make(workload, 4).prompts != make(workload, 4, index=1).prompts


def test_prompts_of_a_batch_share_no_prefix_worth_caching() -> None:
    prompts = make(Workload(input_len=16), 64).prompts
    assert len({tuple(prompt[:16]) for prompt in prompts}) == 64


def test_a_closed_batch_is_all_in_flight_and_a_stream_keeps_to_its_number() -> None:
    batch = make(Workload(input_len=4, output_len=3), 8)
    assert (len(batch.prompts), batch.in_flight, list(batch.output_lens)) == (8, 8, [3] * 8)
    stream = make(Workload(mode="stream", input_len=4, output_len=3), 8)
    assert (len(stream.prompts), stream.in_flight) == (32, 8)
    few = make(Workload(mode="stream", input_len=4, output_len=3, num_prompts=5), 8)
    assert (len(few.prompts), few.in_flight) == (5, 5)


@given(st.integers(1, 800), st.floats(0.01, 1), st.sampled_from(["uniform", "lognormal"]))
def test_drawn_lengths_stay_within_what_a_start_is_sized_for(
    mean: int, spread: float, name: str
) -> None:
    workload = Workload(
        input_len=mean, output_len=mean, length_distribution=name, length_spread=spread
    )
    lengths = draw_lengths(50, mean, workload, random.Random(0))
    assert min(lengths) >= 1
    assert 2 * max(lengths) <= workload.max_len


@pytest.mark.parametrize("name", ["uniform", "lognormal"])
def test_drawn_lengths_have_the_mean_and_the_spread_asked_for(name: str) -> None:
    workload = Workload(length_distribution=name, length_spread=0.5)
    lengths = draw_lengths(20_000, 400, workload, random.Random(1))
    assert statistics.fmean(lengths) == pytest.approx(400, rel=0.02)
    expected = 0.5 / 3**0.5 if name == "uniform" else 0.5
    assert statistics.stdev(lengths) / statistics.fmean(lengths) == pytest.approx(expected, rel=0.1)


def test_code_completion_prompts_are_unfinished_functions_of_the_asked_length() -> None:
    workload = Workload(dataset_name="code_completion", input_len=190, output_len=20)
    load = make(workload, 16)
    assert {len(prompt) for prompt in load.prompts} == {190}
    assert len({tuple(prompt) for prompt in load.prompts}) == 16
    text: list[str] = []

    def keep(code: str) -> list[int]:
        text.append(code)
        return encode(code)

    code_completion(190, keep, random.Random(3))
    assert text[-1].startswith("def ")
    compile(text[-1], "prompt", "exec")  # what is cut off is Python


def test_a_prompts_file_gives_its_prompts_in_order_and_again(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    lines = [
        {"prompt": "def f(x):", "output_len": 3},
        {"prompt_token_ids": [5, 6, 7], "output_len": 9},
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n\n", encoding="utf-8")
    asked = Workload(mode="stream", dataset_name="file", dataset_path=str(path))
    workload = resolve_prompts(asked)
    assert (workload.input_len, workload.output_len) == (5, 6)
    assert workload.max_len == 3 + 10  # nine bytes and a mark, three tokens of output
    load = make(workload, 3)
    assert len(load.prompts) == 12
    assert list(load.prompts[1]) == [5, 6, 7]
    assert list(load.output_lens[:3]) == [3, 9, 3]
    assert workload.to_knobs()["workload.dataset_digest"] == workload.dataset_digest


def test_a_prompts_file_that_changes_after_planning_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text('{"prompt": "a b"}\n', encoding="utf-8")
    workload = resolve_prompts(Workload(dataset_name="file", dataset_path=str(path)))
    path.write_text('{"prompt": "a b c"}\n', encoding="utf-8")
    with pytest.raises(InvalidConfigError, match="has changed"):
        make(workload, 1)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("nonsense", ":1: not a JSON object"),
        ("[1]", ":1: expected an object"),
        ('{"promt": "a"}', "unknown key 'promt'.*prompt"),
        ('{"output_len": 4}', "either prompt or prompt_token_ids"),
        ('{"prompt": "a", "prompt_token_ids": [1]}', "either prompt or prompt_token_ids"),
        ('{"prompt": " "}', "non-empty text"),
        ('{"prompt_token_ids": []}', "list of token ids"),
        ('{"prompt_token_ids": [true]}', "list of token ids"),
        ('{"prompt": "a", "output_len": 0}', "whole number"),
        ("", "has no prompts"),
        ('{"prompt": "a", "output_len": 2}\n{"prompt": "b"}', "in every line or in none"),
    ],
)
def test_a_bad_prompts_file_is_refused_with_its_line(
    tmp_path: Path, line: str, complaint: str
) -> None:
    path = tmp_path / "prompts.jsonl"
    path.write_text(line + "\n", encoding="utf-8")
    with pytest.raises(InvalidConfigError, match=complaint):
        resolve_prompts(Workload(dataset_name="file", dataset_path=str(path)))


def test_a_prompts_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfigError, match="cannot read the prompts"):
        resolve_prompts(Workload(dataset_name="file", dataset_path=str(tmp_path / "none.jsonl")))
