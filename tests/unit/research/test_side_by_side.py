"""Our predictions beside another tool's."""

import pytest

from recommender.surrogate.predictor import PRETRAINED, Predictor
from research.reference.landscapes import ReferenceLandscape
from research.reference.side_by_side import closed_batch_throughput, compare, markdown
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
LAND = ReferenceLandscape(
    name="made-up",
    rows=tuple(record(batch_size=b, output_throughput=150.0 * b**0.8) for b in (1, 4, 16, 64, 256)),
)


def test_a_closed_batch_lasts_its_first_token_and_all_further_ones() -> None:
    assert closed_batch_throughput(10, 101, ttft_ms=500.0, tpot_ms=5.0) == pytest.approx(1010.0)


def test_cells_without_an_estimate_are_left_out_and_run_ones_have_no_prediction_after() -> None:
    estimates = {(1, b): {"static": 150.0 * b**0.8 * 1.2} for b in (1, 4, 16, 64)}
    cells = compare(LAND, PREDICTOR, estimates)
    assert [cell.batch_size for cell in cells] == [1, 4, 16, 64]
    assert all(cell.before > 0 for cell in cells)
    run = [cell for cell in cells if cell.after is None]
    assert 0 < len(run) < 4
    *_, everywhere, elsewhere = markdown(cells, "other", ("static", "agg")).splitlines()
    assert "20.0%" in everywhere
    assert everywhere.endswith("| - |")
    assert elsewhere.count("%") == 3


def test_without_a_cell_there_is_no_median() -> None:
    assert compare(LAND, PREDICTOR, {}) == []
    assert "%" not in markdown([], "other", ("static",)).splitlines()[-1]
