"""What known outcomes rule about what runs."""

from typing import Any

import numpy as np
import pytest

from autotune.schema.configuration import Configuration
from recommender.features.table import collect
from recommender.surrogate.feasibility import PRIOR, probability

MODEL = "codellama/CodeLlama-34b-hf"


def _ask(n_gpus: int, batch_size: int, gpu: str = "A100-40GB", **changes: Any) -> Configuration:
    fields: dict[str, Any] = {"engine": "hf", "model": MODEL, "input_len": 190, "output_len": 5}
    return Configuration(gpu=gpu, n_gpus=n_gpus, batch_size=batch_size, **{**fields, **changes})


def _chance(asked: Configuration, *known: tuple[Configuration, float]) -> float:
    runs = [run for run, _ in known]
    outcome = np.array([ran for _, ran in known])
    same = np.ones((1, len(runs)), dtype=bool)
    return float(probability(PRIOR, collect([asked]), collect(runs), outcome, same)[0])


FAILED = (_ask(8, 4), 0.0)


@pytest.mark.parametrize("asked", [_ask(8, 4), _ask(8, 8), _ask(4, 4), _ask(8, 4, input_len=900)])
def test_what_needs_no_less_than_a_failure_here_is_out(asked: Configuration) -> None:
    assert _chance(asked, FAILED) == 0.0


@pytest.mark.parametrize("asked", [_ask(8, 2), _ask(8, 4, "H100-80GB")])
def test_what_needs_less_or_has_more_room_is_not(asked: Configuration) -> None:
    assert _chance(asked, FAILED) > 0.1


def test_a_run_with_less_room_speaks_against_a_failure_here() -> None:
    ran = (_ask(4, 4, "V100-32GB"), 1.0)
    assert 0.1 < _chance(_ask(4, 4), FAILED, ran) < 0.5
    assert _chance(_ask(4, 8), FAILED, ran) == 0.0  # more than what ran


def test_what_failed_here_never_returns() -> None:
    ran = (_ask(8, 4, "V100-32GB"), 1.0)
    assert _chance(_ask(8, 4), FAILED, ran) == 0.0


def test_what_ran_here_runs_with_more_room_or_fewer_sequences() -> None:
    ran = (_ask(4, 8), 1.0)
    assert min(_chance(_ask(n, b), ran) for n, b in ((4, 8), (4, 1), (8, 8))) >= 0.99


def test_offloaded_pipelines_have_little_room() -> None:
    """A 34B in float32 fills two V100s to the brim; over eight there is room for the batch."""
    chances = [
        float(
            probability(
                PRIOR,
                collect([_ask(n, 16, "V100-32GB", dtype="float32")]),
                collect([]),
                np.zeros(0),
                np.zeros((1, 0), dtype=bool),
            )[0]
        )
        for n in (2, 8)
    ]
    assert chances[0] < chances[1] - 0.2
