"""Prompts made here: random token ids and code to complete, with lengths as asked."""

import itertools
import math
import random
from collections.abc import Callable, Sequence

from autotune.engines.base import Load
from autotune.engines.prompts.files import PromptFile, read_prompts
from autotune.schema.workload import Workload, longest

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


Encode = Callable[[str], list[int]]
# Vocabularies keep their special tokens among the lowest ids.
_SPECIAL_IDS = 100


class LoadMaker:
    """Makes the loads of one workload.

    Args:
        encode: The model's own tokenizer, or what stands in for it.
        seed: Of everything drawn.

    Raises:
        InvalidConfigError: For a prompts file that cannot be read any more.
    """

    def __init__(self, workload: Workload, *, encode: Encode, vocab_size: int, seed: int) -> None:
        self._workload = workload
        self._encode = encode
        self._vocab_size = vocab_size
        self._seed = seed
        self._file: PromptFile | None = None
        if workload.dataset_path is not None:
            self._file = read_prompts(workload.dataset_path, workload.dataset_digest)

    def make(self, batch_size: int, index: int) -> Load:
        """Return the load of pass ``index``; no two passes share their prompts.

        A file's prompts are taken in order, from the beginning again after its end.
        """
        workload, n = self._workload, self._workload.n_requests(batch_size)
        rng = random.Random(f"{self._seed}-{index}")
        if self._file is None:
            prompts = self._generated(n, rng)
            output_lens = draw_lengths(n, workload.output_len, workload, rng)
        else:
            taken = list(
                itertools.islice(itertools.cycle(self._file.entries), index * n, index * n + n)
            )
            prompts = [entry.token_ids or self._encode(entry.text) for entry in taken]
            output_lens = [entry.output_len or workload.output_len for entry in taken]
        return Load(
            prompts=prompts,
            output_lens=output_lens,
            in_flight=min(batch_size, n),
            request_rate=workload.request_rate,
            burstiness=workload.burstiness,
            seed=self._seed + index,
        )

    def _generated(self, n: int, rng: random.Random) -> list[list[int]]:
        lengths = draw_lengths(n, self._workload.input_len, self._workload, rng)
        if self._workload.dataset_name == "code_completion":
            return [code_completion(length, self._encode, rng) for length in lengths]
        return [random_prompt(length, self._vocab_size, rng) for length in lengths]


def random_prompt(length: int, vocab_size: int, rng: random.Random) -> list[int]:
    """Return ``length`` token ids that keep clear of the special ones.

    Prompts share no prefix, so that prefix caching cannot turn a measurement into a cache hit.
    """
    low = min(_SPECIAL_IDS, vocab_size // 2)
    return [rng.randrange(low, vocab_size) for _ in range(length)]


def draw_lengths(n: int, mean: int, workload: Workload, rng: random.Random) -> Sequence[int]:
    """Return ``n`` lengths with the workload's distribution around ``mean``, 1 at least."""
    spread = workload.length_spread
    if workload.length_distribution == "fixed":
        return [mean] * n
    most = longest(mean, workload)
    if workload.length_distribution == "uniform":
        return [rng.randint(max(1, 2 * mean - most), most) for _ in range(n)]
    sigma = math.sqrt(math.log1p(spread**2))
    location = math.log(mean) - sigma**2 / 2
    return [min(max(1, round(rng.lognormvariate(location, sigma))), most) for _ in range(n)]
