"""What may be learned from, and why the rest is set aside."""

from dataclasses import replace

import numpy as np
import pytest

from recommender.training.dataset import FULL_WEIGHT_ROWS, OUT_OF_MEMORY, prepare
from tests.support.landscapes import synthetic_runs

RUNS = synthetic_runs()


def _with(**changes):
    return replace(RUNS[0], run_key=None, **changes)


def test_measured_rows_are_kept_in_order():
    data = prepare(RUNS)
    assert data.records == RUNS
    assert np.exp(data.log_throughput) == pytest.approx([r.output_throughput for r in RUNS])
    assert data.sources == ("made-up",)
    assert data.set_aside == {}


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        (_with(suspect=True), "suspect"),
        (_with(gpu="H1000"), "model, GPU or format not in the catalogue"),
        (_with(model="nobody/nothing"), "model, GPU or format not in the catalogue"),
        (_with(quantization="q3"), "model, GPU or format not in the catalogue"),
        (_with(status="crashed", output_throughput=None), "not measured"),
        (
            _with(mode="serving", knobs={"workload.request_rate": 2.0}),
            "fewer requests offered than it could take",
        ),
        (_with(status="out_of_memory", output_throughput=None), OUT_OF_MEMORY),
        (_with(output_throughput=1e7), "beats the roofline's peak"),
        (
            _with(gpu="T4", model="meta-llama/Llama-2-70b-hf", output_throughput=0.5),
            "does not fit the GPUs named",
        ),
    ],
)
def test_other_rows_are_counted_by_reason(row, reason):
    data = prepare([*RUNS, row])
    assert data.records == RUNS
    assert data.set_aside == {reason: 1}
    assert data.failures == ([row] if reason == OUT_OF_MEMORY else [])


def test_confirmatory_runs_may_train():
    confirmed = _with(purpose="confirm", batch_size=32)
    assert confirmed in prepare([*RUNS, confirmed]).records


def test_a_large_landscape_weighs_no_more_than_a_full_one():
    many = [_with(batch_size=b, output_throughput=10.0) for b in range(1, 41)]
    data = prepare(many)
    assert data.weight.sum() == pytest.approx(FULL_WEIGHT_ROWS)
    few = prepare(many[:3])
    assert few.weight.tolist() == [1.0, 1.0, 1.0]


def test_a_part_has_weights_of_its_own():
    many = prepare([_with(batch_size=b, output_throughput=10.0) for b in range(1, 41)])
    part = many.take(np.arange(4))
    assert len(part.records) == len(part.inputs) == 4
    assert part.weight.tolist() == [1.0] * 4
