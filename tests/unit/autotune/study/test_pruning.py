"""A sweep starts at the largest batch that fits, goes up from the smallest, and ends when flat."""

import math
from pathlib import Path

import pytest

from autotune.schema.configuration import Configuration
from autotune.schema.workload import Workload
from autotune.study.pruning import flat_from
from tests.support.plans import Landscape, Quiet, Recorded, drive, engine, planned

SIZES = tuple(2**k for k in range(10))


def by_size(values: dict[int, float | str | None]) -> Landscape:
    return lambda of: values[of.batch_size]


def rising(of: Configuration) -> float:
    return 10.0 * of.batch_size


def saturating(of: Configuration) -> float:
    return 1000.0 * min(of.batch_size, 16) / 16


def test_the_largest_comes_first_then_the_smallest_upwards(tmp_path: Path) -> None:
    device = Recorded(rising)
    drive(planned(), device, tmp_path / "j")
    assert device.sizes == [512, *SIZES[:-1]]
    assert len(device.starts) == 1


def test_a_plateau_ends_the_sweep_and_says_what_it_spared(tmp_path: Path) -> None:
    device, listener = Recorded(saturating), Quiet()
    drive(planned(), device, tmp_path / "j", listener)
    assert device.sizes == [512, 1, 2, 4, 8, 16, 32]
    (remark,) = listener.remarks
    assert remark.endswith("flat from batch 32 on: 64, 128, 256 not run (--exhaustive runs them)")
    assert "vllm on 1 x H100-80GB" in remark
    assert listener.n_trials == 10
    assert listener.left == [9, 8, 7, 6, 5, 4, 0]


def test_exhaustive_runs_a_plateau_to_its_end(tmp_path: Path) -> None:
    device, listener = Recorded(saturating), Quiet()
    drive(planned(), device, tmp_path / "j", listener, exhaustive=True)
    assert sorted(device.sizes) == list(SIZES)
    assert not listener.remarks


def test_a_dip_on_a_rising_slope_ends_nothing(tmp_path: Path) -> None:
    values = {b: 10.0 * b for b in SIZES} | {8: 41.0, 64: 300.0}
    device = Recorded(by_size(dict(values)))
    drive(planned(), device, tmp_path / "j")
    assert sorted(device.sizes) == list(SIZES)


def test_a_peak_before_a_decline_ends_the_sweep_behind_it(tmp_path: Path) -> None:
    device = Recorded(lambda of: 1000 * math.exp(-((math.log2(of.batch_size) - 4) ** 2) / 8))
    drive(planned(), device, tmp_path / "j")
    assert device.sizes == [512, 1, 2, 4, 8, 16, 32]


@pytest.mark.parametrize(("most", "tried"), [(64, [512, 256, 128, 64]), (1, SIZES[::-1])])
def test_it_goes_down_until_one_fits_and_nothing_larger_is_tried_again(
    most: int, tried: tuple[int, ...], tmp_path: Path
) -> None:
    device = Recorded(lambda of: rising(of) if of.batch_size <= most else None)
    records = drive(planned(), device, tmp_path / "j")
    assert device.sizes[: len(tried)] == list(tried)
    assert len(set(device.sizes)) == len(device.sizes)
    assert sorted(r.batch_size for r in records if r.status == "completed") == [
        size for size in SIZES if size <= most
    ]


def test_a_plateau_below_what_does_not_fit_is_flat_too(tmp_path: Path) -> None:
    device = Recorded(lambda of: saturating(of) if of.batch_size <= 128 else None)
    drive(planned(), device, tmp_path / "j")
    assert device.sizes == [512, 256, 128, 1, 2, 4, 8, 16, 32]


def test_a_crash_at_the_top_is_tried_twice_and_is_no_measure_of_flatness(tmp_path: Path) -> None:
    device = Recorded(lambda of: "crashed" if of.batch_size == 512 else rising(of))
    drive(planned(), device, tmp_path / "j")
    assert device.sizes[:3] == [512, 512, 256]
    assert sorted(set(device.sizes)) == list(SIZES)


def test_long_requests_come_before_short_ones_and_their_memory_rules_nothing_out(
    tmp_path: Path,
) -> None:
    long, short = Workload(input_len=512, output_len=128), Workload(input_len=64, output_len=16)
    device = Recorded(
        lambda of: rising(of) if of.batch_size * (of.input_len or 0) <= 4096 else None
    )
    records = drive(planned((4, 8, 16, 32), workloads=(long, short)), device, tmp_path / "j")
    order = [(r.input_len, r.batch_size) for r in records]
    assert order == [(512, 32), (512, 16), (512, 8), (512, 4), (64, 32), (64, 4), (64, 8), (64, 16)]


def test_memory_that_ran_out_for_short_requests_rules_longer_ones_out(tmp_path: Path) -> None:
    long, short = Workload(input_len=512, output_len=128), Workload(input_len=64, output_len=16)
    device = Recorded(lambda of: rising(of) if of.batch_size < 8 else None)
    records = drive(planned((4, 8), workloads=(short, long)), device, tmp_path / "j")
    assert [(r.input_len, r.batch_size) for r in records] == [(64, 8), (64, 4), (512, 4)]


def test_each_start_has_sweeps_of_its_own(tmp_path: Path) -> None:
    starts = (engine(), engine(knobs={"max_num_batched_tokens": 2048}))
    device = Recorded(lambda of: saturating(of) if not of.knobs else rising(of))
    listener = Quiet()
    drive(planned(starts=starts), device, tmp_path / "j", listener)
    assert len(device.ran) == 7 + 10
    assert len(device.starts) == 2
    assert len(listener.remarks) == 1


@pytest.mark.parametrize(
    ("measured", "left", "flat"),
    [
        ({}, {1, 2, 4}, None),
        ({8: 100.0}, {1, 2, 4}, None),
        ({8: 100.0, 1: 99.0}, {2, 4}, None),
        ({8: 100.0, 1: 99.0, 2: 100.0}, {4}, 2),
        ({8: 100.0, 1: 90.0, 2: 100.0}, {4}, None),
        ({8: 103.0, 1: 99.0, 2: 100.0}, {4}, None),
        ({8: 100.0, 1: 100.0, 2: 50.0}, {4}, 2),
        ({8: 100.0, 1: 99.0, 2: 100.0}, {4, 16}, None),
        ({16: 90.0, 8: 150.0, 1: 99.0, 2: 100.0}, {4}, None),
        ({16: 100.0, 1: 99.0, 4: 99.5}, {2, 8}, None),
        ({16: 100.0, 1: 99.0, 2: 99.5, 4: 150.0}, {8}, None),
    ],
)
def test_the_rule(measured: dict[int, float], left: set[int], flat: int | None) -> None:
    assert flat_from(measured, left) == flat
