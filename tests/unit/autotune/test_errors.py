"""Suggestions for misspelt names."""

import pytest

from autotune.errors import UnknownGpuError, did_you_mean, nearest


@pytest.mark.parametrize(
    ("name", "known", "first"),
    [
        ("H10O", ["A100-80GB", "H100-80GB", "T4"], "H100-80GB"),
        ("lama-7b", ["google/gemma-7b", "huggyllama/llama-7b"], "huggyllama/llama-7b"),
        ("enforce_eagr", ["seed", "enforce_eager"], "enforce_eager"),
    ],
)
def test_the_nearest_name_comes_first(name: str, known: list[str], first: str) -> None:
    assert nearest(name, known)[0] == first
    assert first in did_you_mean(name, known)


def test_nothing_alike_suggests_nothing() -> None:
    assert nearest("zzz", ["H100-80GB", "T4"]) == []
    assert did_you_mean("zzz", ["T4"]) == ""


def test_an_unknown_gpu_is_a_lookup_error_of_exit_2() -> None:
    error = UnknownGpuError("H10O", ["H100-80GB"])
    assert isinstance(error, LookupError)
    assert error.exit_code == 2
    assert "H10O" in str(error)
