"""Code completion prompts, made here: beginnings of Python functions that end in mid-body.

The kind of task of arXiv 2408.01050 (single-line infilling of HumanEval, about 190 tokens a
prompt), without its texts.
"""

import random
from collections.abc import Callable

_VERBS = ("count", "merge", "filter", "find", "rotate", "group", "split", "sum", "rank", "encode")
_NOUNS = ("values", "words", "rows", "edges", "intervals", "digits", "tokens", "prices", "paths")
_ADJECTIVES = ("longest", "unique", "sorted", "nested", "even", "first", "missing", "common")
_TYPES = ("list[int]", "list[str]", "dict[str, int]", "str", "list[float]", "set[int]")
_STEPS = (
    "if {a} in {b}:\n        {b} = {b}[{n}:]",
    "for {a}, item in enumerate({b}):\n        {c}.append(item * {n})",
    "{c} = sorted({b}, key=lambda item: (len(str(item)), item))",
    "while len({c}) < {n}:\n        {c}.append(max({b}) - len({c}))",
    "{a} = {{key: {b}.count(key) for key in set({b})}}",
    "{c} = [item for item in {b} if item != {n}]",
    "if not {b}:\n        return {c}",
)


def code_completion(
    length: int, encode: Callable[[str], list[int]], rng: random.Random
) -> list[int]:
    """Return the first ``length`` tokens of generated functions.

    Args:
        encode: Turns text into token ids.
    """
    text = ""
    ids: list[int] = []
    while len(ids) < length:
        text += _function(rng)
        ids = encode(text)
    return ids[:length]


def _function(rng: random.Random) -> str:
    verb, adjective, noun = rng.choice(_VERBS), rng.choice(_ADJECTIVES), rng.choice(_NOUNS)
    given, kind = f"{noun}_{rng.randrange(100)}", rng.choice(_TYPES)
    steps = [
        "    "
        + rng.choice(_STEPS).format(a=f"key_{i}", b=given, c="result", n=rng.randrange(2, 99))
        for i in range(rng.randrange(4, 8))
    ]
    head = (
        f"def {verb}_{adjective}_{noun}(\n    {given}: {kind}, limit: int = {rng.randrange(1000)}\n"
        f") -> {kind}:\n"
        f'    """Return the {adjective} {noun} of {given}: {verb} those below limit.\n\n'
        f"    >>> {verb}_{adjective}_{noun}({[rng.randrange(50) for _ in range(4)]})\n"
        f"    {[rng.randrange(50) for _ in range(3)]}\n"
        f'    """\n    result = []\n'
    )
    return head + "\n".join(steps) + "\n    return result\n\n\n"
