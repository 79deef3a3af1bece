"""What is known beside a question, and how near it is."""

import pytest

from autotune.schema.configuration import Configuration
from recommender.surrogate.evidence import (
    ALONE,
    BOTH,
    ELSEWHERE,
    NEIGHBOURS,
    NOTHING,
    ON_TARGET,
    STATES,
    gather,
)
from tests.support.landscapes import synthetic_runs

MODEL, OTHER = "meta-llama/Llama-2-7b-hf", "microsoft/phi-2"
TARGET, SOURCE = "V100-32GB", "A100-40GB"
RUNS = synthetic_runs(models=(MODEL, OTHER), batches=(1,))
ASKED = Configuration(
    engine="vllm", model=MODEL, gpu=TARGET, n_gpus=1, batch_size=8, input_len=256, output_len=64
)


def _on(model, gpu):
    return [run for run in RUNS if (run.model, run.gpu) == (model, gpu)]


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ([], NOTHING),
        (_on(OTHER, SOURCE), NOTHING),
        (_on(OTHER, TARGET), NEIGHBOURS),
        (_on(MODEL, SOURCE), ELSEWHERE),
        (_on(MODEL, SOURCE) + _on(OTHER, SOURCE), ELSEWHERE),
        (_on(MODEL, SOURCE) + _on(OTHER, TARGET), BOTH),
        (_on(MODEL, TARGET), ALONE),
        (_on(MODEL, TARGET) + _on(MODEL, SOURCE), ON_TARGET),
        (RUNS, ON_TARGET),
    ],
)
def test_a_question_knows_what_is_known_of_it(known, expected):
    assert STATES[gather([ASKED], known).state()[0]] == expected


def test_another_engines_runs_say_nothing():
    asked = Configuration(engine="hf", model=MODEL, gpu=TARGET, n_gpus=1, batch_size=8)
    assert STATES[gather([asked], RUNS).state()[0]] == NOTHING
