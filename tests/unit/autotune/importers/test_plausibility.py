"""The checks of every imported row."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.importers.base import ImportResult
from autotune.importers.plausibility import IN_FLIGHT, REQUESTS, TOLERANCE, fault, screen
from tests.support.records import record

POSITIVE = st.floats(0.1, 1e5)


def closed_loop(batch=8, output_len=100, e2el=1000.0, factor=1.0, **changes):
    """A record whose throughput is ``factor`` times what its latency says."""
    return record(
        batch_size=batch,
        output_len=output_len,
        mean_ttft_ms=None,
        mean_tpot_ms=None,
        mean_e2el_ms=e2el,
        output_throughput=factor * batch * output_len / e2el * 1000,
        **changes,
    )


@given(st.integers(1, 1024), st.integers(1, 4096), POSITIVE, st.floats(0.84, 1.19))
def test_a_throughput_near_its_latency_passes(batch, output_len, e2el, factor):
    assert fault(closed_loop(batch, output_len, e2el, factor)) is None


@given(
    st.integers(1, 1024),
    st.integers(1, 4096),
    POSITIVE,
    st.one_of(st.floats(0.01, 0.83), st.floats(1.21, 50)),
)
def test_a_throughput_far_from_its_latency_is_refused(batch, output_len, e2el, factor):
    reason = fault(closed_loop(batch, output_len, e2el, factor))
    assert reason is not None
    assert "contradicts its latency" in reason
    assert f"{TOLERANCE:.0%}" in reason


@given(st.integers(2, 512), POSITIVE, POSITIVE, st.integers(2, 2048))
def test_ttft_and_tpot_say_the_same_as_the_whole(batch, ttft, tpot, output_len):
    whole = ttft + tpot * (output_len - 1)
    changes = {"mean_ttft_ms": ttft, "mean_tpot_ms": tpot, "output_len": output_len}
    right = batch * output_len / whole * 1000
    assert fault(record(batch_size=batch, output_throughput=right, **changes)) is None
    assert fault(record(batch_size=batch, output_throughput=right * 2, **changes)) is not None


def test_the_tool_may_say_how_many_were_in_flight():
    half = closed_loop(factor=0.5, environment={IN_FLIGHT: 4.0})
    assert fault(half) is None
    assert fault(closed_loop(factor=0.5, environment={IN_FLIGHT: 8.0})) is not None


def test_a_last_wave_that_is_not_full_lowers_the_throughput():
    assert fault(closed_loop(factor=0.65, environment={REQUESTS: 10})) is None
    assert fault(closed_loop(factor=0.65, environment={REQUESTS: 800})) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"source": "autotune"},
        {"knobs": {"workload.request_rate": 2.0}},
    ],
)
def test_runs_whose_batch_size_is_not_what_was_in_flight_are_left_alone(changes):
    assert fault(closed_loop(factor=0.3, **changes)) is None


def test_where_the_batch_size_is_a_cap_only_too_much_contradicts():
    assert fault(closed_loop(factor=0.3), may_be_cap=True) is None
    assert fault(closed_loop(factor=3), may_be_cap=True) is not None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"median_ttft_ms": 90.0, "p99_ttft_ms": 80.0}, "p99_ttft_ms"),
        ({"mean_ttft_ms": 900.0, "mean_e2el_ms": 800.0}, "mean_e2el_ms"),
        ({"output_throughput": 1376.5, "total_throughput": 1000.0}, "total_throughput"),
    ],
)
def test_measures_that_cannot_be_are_refused(changes, words):
    reason = fault(record(**changes))
    assert reason is not None
    assert "impossible" in reason
    assert words in reason


def test_a_failed_configuration_has_nothing_to_check():
    failed = {"status": "out_of_memory", "output_throughput": None}
    assert fault(record(mean_ttft_ms=None, mean_tpot_ms=None, **failed)) is None


def test_what_is_known_to_be_suspect_is_kept_as_that():
    assert fault(closed_loop(factor=3, suspect=True)) is None


def test_a_good_row_after_a_refused_one_of_its_key_is_taken():
    rows = [closed_loop(factor=4), closed_loop(), closed_loop()]
    result = screen(ImportResult(records=rows), Path("table.csv"))
    assert [place.line for place in result.places] == [2]
    assert [rejection.line for rejection in result.rejected] == [1, 3]
    assert "table.csv line 2" in result.rejected[1].reason
