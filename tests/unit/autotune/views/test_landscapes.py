"""Landscapes: what is grouped, how irregularity is counted."""

import pytest

from autotune.views.landscapes import batch_steps, best_cell, gpu_steps, landscapes_of, local_maxima
from tests.support.records import record

# a ridge at 2 GPUs, a second hill at 1 GPU, and a hole where (2, 2) failed
CELLS = {(1, 1): 4.0, (1, 2): 6.0, (1, 4): 5.0, (2, 1): 7.0, (2, 4): 9.0}


def test_a_local_maximum_beats_the_next_measured_cell_each_way() -> None:
    assert local_maxima(CELLS) == [(1, 2), (2, 4)]
    assert local_maxima({(1, 1): 1.0, (1, 2): 2.0, (2, 1): 3.0, (2, 2): 4.0}) == [(2, 2)]
    assert local_maxima({(1, 1): 3.0}) == [(1, 1)]
    assert local_maxima({}) == []


def test_a_plateau_is_no_local_maximum() -> None:
    assert local_maxima({(1, 1): 2.0, (1, 2): 2.0, (1, 4): 1.0}) == []


def test_steps_are_counted_along_each_axis_over_holes() -> None:
    along_batch, along_gpus = batch_steps(CELLS), gpu_steps(CELLS)
    assert (along_batch.n, along_batch.n_decreasing) == (3, 1)
    assert (along_gpus.n, along_gpus.n_decreasing) == (2, 0)


def test_of_equally_fast_cells_the_smallest_is_best() -> None:
    assert best_cell({(2, 8): 5.0, (1, 16): 5.0, (1, 8): 5.0, (1, 4): 1.0}) == (1, 8)
    assert best_cell({}) is None


def test_runs_of_one_workload_are_one_landscape() -> None:
    runs = [
        record(batch_size=1, output_throughput=10.0),
        record(batch_size=2, output_throughput=30.0),
        record(batch_size=2, output_throughput=20.0, started_at="2026-01-02T00:00:00+00:00"),
        record(batch_size=4, status="out_of_memory", output_throughput=None, mean_ttft_ms=None),
        record(batch_size=8, output_throughput=99.0, suspect=True),
        record(batch_size=1, gpu="A100-80GB"),
        record(batch_size=1, output_len=64),
        record(batch_size=1, knobs={"enforce_eager": True}),
    ]
    lands = landscapes_of(runs)
    assert len(lands) == 4
    [main] = [land for land in lands if len(land.cells) == 2]
    assert main.cells == {(1, 1): 10.0, (1, 2): 25.0}
    assert (main.n_failed, main.best) == (1, (1, 2))
    [with_suspect] = [x for x in landscapes_of(runs, with_suspect=True) if len(x.cells) == 3]
    assert with_suspect.best == (1, 8)


@pytest.mark.parametrize("cells", [CELLS, {(1, 1): 1.0}, {}])
def test_no_landscape_has_more_maxima_than_cells(cells: dict[tuple[int, int], float]) -> None:
    assert len(local_maxima(cells)) <= len(cells)
