"""Which devices a process may use."""

import pytest

from autotune.catalog.gpus import visible_devices


@pytest.mark.parametrize(
    ("listed", "expected"),
    [(None, ["0", "1"]), ("1", ["1"]), ("", []), ("GPU-abc, 0", ["GPU-abc", "0"])],
)
def test_visible_devices_are_those_of_the_variable(
    monkeypatch: pytest.MonkeyPatch, listed: str | None, expected: list[str]
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if listed is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", listed)
    assert visible_devices(2) == expected
