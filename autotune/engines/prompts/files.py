"""Prompts from a JSON-lines file, checked line by line before anything is measured."""

import dataclasses
import hashlib
import json
import re
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from autotune.engines.weights import find_weights
from autotune.errors import InvalidConfigError, did_you_mean
from autotune.schema.workload import Workload

_KEYS = ("prompt", "prompt_token_ids", "output_len")
_WORD = re.compile(r"\w+|[^\w\s]|\s+")
_DIGEST_DIGITS = 16


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One line: a text or token ids, and how many tokens to generate if it says so."""

    text: str = ""
    token_ids: list[int] = dataclasses.field(default_factory=list)
    output_len: int | None = None

    @property
    def nominal_len(self) -> int:
        """Tokens: exact for ids, words and signs for a text."""
        return len(self.token_ids) or len(split_words(self.text))

    @property
    def max_len(self) -> int:
        """Most tokens a tokenizer makes of it: a byte each, and a mark at the beginning."""
        return len(self.token_ids) or len(self.text.encode()) + 1


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class PromptFile:
    """A whole file.

    Attributes:
        digest: 16 hex digits over its bytes.
    """

    entries: tuple[Prompt, ...]
    digest: str


def split_words(text: str) -> list[str]:
    """Cut a text into words, signs and spaces, about as finely as a tokenizer of code does."""
    return _WORD.findall(text)


def read_prompts(path: str, digest: str | None = None) -> PromptFile:
    """Read a prompts file.

    Args:
        digest: What the file must still be; ``None`` takes it as it is.

    Raises:
        InvalidConfigError: When it cannot be read, has a line that is no prompt (naming it), is
            empty or has changed.
    """
    try:
        data = Path(path).read_bytes()
        lines = data.decode().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidConfigError(f"cannot read the prompts of {path}: {error}") from error
    found = hashlib.sha256(data).hexdigest()[:_DIGEST_DIGITS]
    if digest is not None and digest != found:
        raise InvalidConfigError(f"{path} has changed since the study was planned; start it again")
    entries = tuple(
        _parse(line, f"{path}:{number}") for number, line in enumerate(lines, 1) if line.strip()
    )
    if not entries:
        raise InvalidConfigError(f"{path} has no prompts")
    if len({entry.output_len is None for entry in entries}) > 1:
        raise InvalidConfigError(f"{path}: give output_len in every line or in none")
    return PromptFile(entries=entries, digest=found)


def resolve_prompts(workload: Workload) -> Workload:
    """Return the workload with what its prompts file says of it: mean lengths, longest, digest.

    Raises:
        InvalidConfigError: For a file that cannot be used.
    """
    if workload.dataset_path is None:
        return workload
    path = str(Path(workload.dataset_path).resolve())
    file = read_prompts(path)
    n = len(file.entries)
    outputs = [entry.output_len or workload.output_len for entry in file.entries]
    totals = (entry.max_len + n_out for entry, n_out in zip(file.entries, outputs, strict=True))
    return dataclasses.replace(
        workload,
        dataset_path=path,
        input_len=max(1, round(sum(entry.nominal_len for entry in file.entries) / n)),
        output_len=max(1, round(sum(outputs) / n)),
        dataset_digest=file.digest,
        dataset_max_len=max(totals),
    )


def _parse(line: str, where: str) -> Prompt:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidConfigError(f"{where}: not a JSON object: {error}") from error
    if not isinstance(row, dict):
        raise InvalidConfigError(f'{where}: expected an object like {{"prompt": "..."}}')
    _check_keys(row, where)
    text, ids, output_len = (row.get(key) for key in _KEYS)
    if "prompt" in row and not _is_text(text):
        raise InvalidConfigError(f"{where}: prompt must be a non-empty text")
    if "prompt_token_ids" in row and not _is_id_list(ids):
        raise InvalidConfigError(f"{where}: prompt_token_ids must be a list of token ids")
    if output_len is not None and not (_is_count(output_len) and output_len > 0):
        raise InvalidConfigError(f"{where}: output_len must be a whole number of at least 1")
    return Prompt(text=text or "", token_ids=ids or [], output_len=output_len)


def _check_keys(row: dict[str, Any], where: str) -> None:
    for key in row:
        if key not in _KEYS:
            raise InvalidConfigError(f"{where}: unknown key {key!r}.{did_you_mean(key, _KEYS)}")
    if ("prompt" in row) == ("prompt_token_ids" in row):
        raise InvalidConfigError(f"{where}: needs either prompt or prompt_token_ids")


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and bool(value.strip())


def _is_id_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(map(_is_count, value))


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


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
