"""The closed sets, and what refuses values outside them."""

import re
from collections.abc import Sequence

from autotune.errors import InvalidConfigError, did_you_mean

_RANGE = re.compile(r"([0-9]{1,9})(?::([0-9]{1,9}))?")


def refuse_setting(name: str, value: object, want: str) -> InvalidConfigError:
    """Return the error for a setting that cannot be meant."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of thousands of digits
        text = "a number far too long"
    return InvalidConfigError(f"{name}={text[:200]} must be {want}")


def check_positive_int(name: str, value: object) -> None:
    """Refuse anything but a whole number of at least 1."""
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 10**9:
        raise refuse_setting(name, value, "a whole number of at least 1")


def check_positive(name: str, value: object) -> None:
    """Refuse anything but a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e15:
        raise refuse_setting(name, value, "a number above zero")


def check_share(name: str, value: object) -> None:
    """Refuse anything but a number from 0 to 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise refuse_setting(name, value, "a number from 0 to 1")


def check_choice(name: str, value: object, choices: Sequence[str]) -> None:
    """Refuse a value that is not one of ``choices``, naming the nearest."""
    if value not in choices:
        hint = did_you_mean(str(value), choices)
        raise InvalidConfigError(f"{name}={value!r} is not one of {', '.join(choices)}.{hint}")


def check_name(name: str, value: object, *, optional: bool = False) -> None:
    """Refuse anything but a non-empty text."""
    if (value is None and optional) or (isinstance(value, str) and value.strip()):
        return
    raise refuse_setting(name, value, "a non-empty text")


def check_switch(name: str, value: object) -> None:
    """Refuse anything but true or false."""
    if not isinstance(value, bool):
        raise refuse_setting(name, value, "true or false")


def check_seed(name: str, value: object) -> None:
    """Refuse anything but a whole number that every generator takes."""
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**31:
        raise refuse_setting(name, value, "a whole number from 0 to 2147483647")


def parse_counts(value: object) -> tuple[int, ...]:
    """Read ``'1:512'`` (doubling), ``'1,3,7'`` (a list), a number or a list of numbers.

    >>> parse_counts("1:8"), parse_counts("1,3"), parse_counts(4)
    ((1, 2, 4, 8), (1, 3), (4,))

    Raises:
        InvalidConfigError: For anything else, and for numbers below 1.
    """
    if isinstance(value, int):
        value = [value]
    if isinstance(value, list | tuple):
        for item in value:
            check_positive_int("count", item)
        return tuple(value)
    counts: list[int] = []
    for part in str(value).split(","):
        counts.extend(_parse_range(part.strip(), str(value)))
    return tuple(dict.fromkeys(counts))


def _parse_range(part: str, whole: str) -> list[int]:
    match = _RANGE.fullmatch(part)
    if match is None:
        raise refuse_setting("count", whole, "like 1:512 (doubling) or 1,3,7")
    low = int(match[1])
    high = int(match[2] or match[1])
    check_positive_int("count", low)
    if high < low:
        raise refuse_setting("count", whole, f"rising, but {high} is below {low}")
    counts = []
    while low <= high:
        counts.append(low)
        low *= 2
    return counts


# What measured a run: this project, or another whose name its importer gives.
OWN_SOURCE = "autotune"
ENGINES = ("vllm", "hf", "trtllm", "sglang", "tgi")
# A closed batch hands all prompts over at once, a stream keeps so many in flight in the engine's
# own process, serving does so through its HTTP server.
MODES = ("closed_batch", "stream", "serving")
STATUSES = ("completed", "out_of_memory", "timed_out", "crashed", "load_failed")
PURPOSES = ("baseline", "search", "confirm")

THROUGHPUT_FIELDS = ("output_throughput", "total_throughput", "request_throughput")
LATENCY_FIELDS = tuple(
    f"{stat}_{metric}_ms"
    for metric in ("ttft", "tpot", "itl", "e2el")
    for stat in ("mean", "median", "p99")
)
# Whole numbers among the measures.
COUNT_FIELDS = ("repeats", "kv_cache_tokens")
METRIC_FIELDS = (
    *THROUGHPUT_FIELDS,
    *LATENCY_FIELDS,
    "request_goodput",
    "repeats",
    "throughput_ci95",
    "energy_j_per_token",
    "mean_power_w",
    "peak_memory_gb",
    "kv_cache_tokens",
    "engine_start_s",
    "measure_s",
)
# Measures for which 0 is a real reading; every other measure must be above zero.
MAY_BE_ZERO = frozenset(
    {
        "throughput_ci95",
        "mean_itl_ms",
        "median_itl_ms",
        "p99_itl_ms",
        "request_goodput",
        "kv_cache_tokens",
    }
)
