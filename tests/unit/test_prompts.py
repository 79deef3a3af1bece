"""Prompts have exact lengths, come from their seed, and share no prefix."""

from hypothesis import given
from hypothesis import strategies as st

from autotune.engines.prompts import random_prompts


@given(st.integers(1, 20), st.integers(1, 50), st.integers(2, 5000), st.integers(0, 2**31))
def test_prompts_have_the_asked_number_length_and_vocabulary(
    n: int, length: int, vocab_size: int, seed: int
) -> None:
    prompts = random_prompts(n, length, vocab_size=vocab_size, seed=seed)
    assert [len(prompt) for prompt in prompts] == [length] * n
    assert all(min(100, vocab_size // 2) <= token < vocab_size for p in prompts for token in p)


def test_a_seed_gives_the_same_prompts_and_another_seed_others() -> None:
    one, again, other = (random_prompts(4, 16, vocab_size=2048, seed=s) for s in (1, 1, 2))
    assert one == again
    assert one != other


def test_prompts_of_a_batch_share_no_prefix_worth_caching() -> None:
    prompts = random_prompts(64, 16, vocab_size=2048, seed=0)
    assert len({tuple(prompt[:16]) for prompt in prompts}) == 64
