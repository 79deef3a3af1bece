"""Prompts of exact length from a seed: token ids, no tokenizer needed."""

import random


def random_prompts(n: int, length: int, *, vocab_size: int, seed: int) -> list[list[int]]:
    """Return ``n`` prompts of ``length`` token ids each.

    Ids keep clear of the lowest hundred, where vocabularies keep their special tokens. Prompts
    share no prefix, so that prefix caching cannot turn a measurement into a cache hit.
    """
    rng = random.Random(seed)
    low = min(100, vocab_size // 2)
    return [[rng.randrange(low, vocab_size) for _ in range(length)] for _ in range(n)]
