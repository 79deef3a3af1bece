"""Inputs that are nearly right: valid ones with something in them changed."""

import json
import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st

# What parsers stumble over: edges of numbers, of Unicode, of nesting, and other notations.
NASTY_VALUES: Sequence[Any] = (
    *(None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, -(10**400), 1e308, 1e-320, 0.1),
    *(float("nan"), float("inf"), "", " ", "\0", "\ud800", "é" * 300, "1e999", "0x10", "nan", "-"),
    *("../../../tmp/escape", "/etc/passwd", "a'b\"c", "; rm -rf /", "$(id)", "{{7*7}}", "%s%n"),
    *("<script>alert(1)</script>", "9" * 5000, [], {}, [[]], {"": None}, [1, "a", None], {"a": {}}),
)
NASTY_BYTES: Sequence[bytes] = (
    *(b"\0", b"\xff\xfe", b"\xef\xbb\xbf", b"\xed\xa0\x80", b"\r\n", b"\r", b"\n\n", b",", b'"'),
    *(b"{", b"}", b"[" * 3000, b"&a [*a]", b"!!python/object/apply:os.system ['id']", b"<<: *x"),
    *(b"nan", b"-1", b"1e999", b"9" * 400, b"2020-13-45", b"0b2", b": ", b"- ", b"\t", b"# ", b"|"),
)


def change_bytes(data: bytes, chance: random.Random) -> bytes:
    """Change, drop, double or insert something somewhere."""
    at = chance.randrange(len(data) + 1)
    end = min(len(data), at + chance.choice((1, 2, 8, 64)))
    kind = chance.randrange(5)
    if kind == 0:
        return data[:at] + bytes([chance.randrange(256)]) + data[end:]
    if kind == 1:
        return data[:at] + data[end:]
    if kind == 2:
        return data[:end] + data[at:]
    if kind == 3:
        return data[:at]
    return data[:at] + chance.choice(NASTY_BYTES) + data[at:]


def change_json(data: bytes, chance: random.Random) -> bytes:
    """Put a nasty value in the place of one value, or a nasty key beside one; else change bytes."""
    lines = data.split(b"\n")
    whole = _parsed(data)
    at = None if whole is not None else chance.randrange(len(lines))
    found = whole if at is None else _parsed(lines[at])
    if not isinstance(found, dict | list) or not found:
        return change_bytes(data, chance)
    _put_nasty(found, chance)
    text = json.dumps(found, ensure_ascii=chance.random() < 0.5).encode(errors="surrogatepass")
    if at is None:
        return text
    return b"\n".join([*lines[:at], text, *lines[at + 1 :]])


def _parsed(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _put_nasty(inside: Any, chance: random.Random) -> None:
    while True:
        keys = list(inside) if isinstance(inside, dict) else list(range(len(inside)))
        key = chance.choice(keys)
        below = inside[key]
        if isinstance(below, dict | list) and below and chance.random() < 0.7:
            inside = below
            continue
        kind = chance.random()
        if kind < 0.15:
            del inside[key]
        elif kind < 0.25 and isinstance(inside, dict):
            inside[str(chance.choice(NASTY_VALUES))[:200]] = below
        else:
            inside[key] = chance.choice(NASTY_VALUES)
        return


def nearly(seeds: Sequence[bytes]) -> st.SearchStrategy[bytes]:
    """Return a strategy of what is nearly one of the seeds, and now and then of anything."""

    def change(seed: bytes, number: int, times: int) -> bytes:
        chance = random.Random(number)
        kinds: Sequence[Callable[[bytes, random.Random], bytes]] = (change_json, change_bytes)
        for _ in range(times):
            seed = chance.choice(kinds)(seed, chance)
        return seed

    changed = st.builds(change, st.sampled_from(seeds), st.integers(0, 2**64), st.integers(1, 4))
    return st.one_of(changed, changed, changed, st.binary(max_size=200))
