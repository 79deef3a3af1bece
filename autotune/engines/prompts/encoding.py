"""Text to token ids: the model's own tokenizer, or words hashed to ids where it has none."""

import zlib
from collections.abc import Callable
from functools import cache

from autotune.engines.prompts.files import split_words
from autotune.engines.weights import find_weights


@cache
def encoder(model: str, vocab_size: int, *, trust_remote_code: bool) -> Callable[[str], list[int]]:
    """Return what turns text into the model's token ids, special tokens left out; loads it once.

    A model known by its config alone has no tokenizer; speed depends on how many tokens there are,
    not on which, so its words and signs become ids of their own.
    """
    weights = find_weights(model)
    if not weights.has_tokenizer:
        return lambda text: [zlib.crc32(word.encode()) % vocab_size for word in split_words(text)]
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(
        str(weights.directory), trust_remote_code=trust_remote_code
    )

    def encode(text: str) -> list[int]:
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
        return ids

    return encode
