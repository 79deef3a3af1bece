"""Charts: what they say, and that both drawers can draw them."""

import json

import pytest

from autotune.views.charts import png
from autotune.views.charts.interactive import figure_json
from autotune.views.charts.judgement import (
    PredictedPoint,
    predicted_and_measured,
    regret_lines,
    residuals,
)
from autotune.views.charts.landscape import (
    Place,
    cost_lines,
    energy_lines,
    pareto,
    place_of,
    points_of,
    speed_lines,
    speed_map,
)
from autotune.views.charts.model import Boxes, HeatMap, Lines
from tests.support.records import record

ROWS = [
    record(
        n_gpus=n,
        batch_size=b,
        output_throughput=100.0 * n * b**0.8,
        throughput_ci95=0.02,
        mean_tpot_ms=5.0 + b / n,
        energy_j_per_token=2.0 / b,
    )
    for n in (1, 2)
    for b in (1, 2, 4, 8)
] + [record(n_gpus=2, batch_size=16, status="out_of_memory", output_throughput=None, notes="full")]
POINTS = points_of(ROWS)
BEST = {place_of(ROWS[7]): "best"}
TOLD = [
    PredictedPoint(
        engine=engine, name=f"{k}", predicted=100.0 * k, low=80.0 * k, high=120.0 * k, measured=m
    )
    for k, (engine, m) in enumerate((("vllm", 90.0), ("hf", 290.0), ("vllm", 600.0)), start=1)
]


def charts() -> dict[str, Lines | HeatMap | Boxes | None]:
    return {
        "lines": speed_lines(POINTS, title="t", marks=BEST),
        "bands": speed_lines(POINTS, title="t", marks=BEST, interval="90 % interval"),
        "map": speed_map(POINTS, title="t", marks=BEST),
        "pareto": pareto(POINTS, title="t", marks=BEST),
        "energy": energy_lines(POINTS, title="t", marks=BEST),
        "predicted": predicted_and_measured(TOLD, title="t"),
        "residuals": residuals({"A100": TOLD[:2], "H200": TOLD[2:]}, title="t"),
        "regret": regret_lines(
            {"ours": [0.2, 0.0], "TPE": [0.5, 0.3]}, title="t", n_configurations=8
        ),
    }


@pytest.mark.parametrize("name", charts())
def test_both_drawers_draw_it_and_it_has_words(name: str) -> None:
    chart = charts()[name]
    assert chart is not None
    assert len(chart.alt) > 20
    picture = png.render(chart)
    assert picture.startswith(b"\x89PNG")
    assert png.render(chart) == picture
    figure = json.loads(figure_json(chart).replace("<\\/", "</"))
    assert figure["data"]
    assert figure["layout"]["title"]["text"].startswith("t")


def test_lines_have_a_start_each_and_say_what_failed() -> None:
    chart = speed_lines(POINTS, title="t", marks=BEST)
    assert [s.name for s in chart.series] == ["vllm, 1 GPU", "vllm, 2 GPUs", "cannot run", "best"]
    styles = {(s.marker, s.dash) for s in chart.series[:2]}
    assert len(styles) == 2
    assert chart.series[2].x == (16.0,)
    assert "1,056 with vllm on 2 GPUs at batch 8" in chart.alt
    assert "Marked: best: vllm, 2 GPUs, batch 8" in chart.alt


def test_engines_differ_without_colour() -> None:
    both = points_of([record(), record(engine="hf")])
    hf, vllm = speed_lines(both, title="t").series
    assert (hf.marker, hf.dash) != (vllm.marker, vllm.dash)
    assert hf.is_hollow != vllm.is_hollow


def test_the_map_hatches_what_failed_and_marks_the_best() -> None:
    chart = speed_map(POINTS, title="t", marks=BEST)
    assert chart.rows == ("1", "2")
    assert chart.columns == ("1", "2", "4", "8", "16")
    assert chart.hatched == {(1, 4)}
    assert chart.values[1][4] is None
    assert chart.values[0][4] is None
    assert chart.words(1, 3) == ["best"]


def test_the_front_is_what_nothing_beats_in_both() -> None:
    chart = pareto(POINTS, title="t")
    assert chart is not None
    front = next(s for s in chart.series if s.name == "Pareto front")
    assert list(front.x) == sorted(front.x)
    assert list(front.y) == sorted(front.y)
    [rest] = [s for s in chart.series if "dominated" in s.name]
    for x, y in zip(rest.x, rest.y, strict=True):
        assert any(a <= x and b >= y for a, b in zip(front.x, front.y, strict=True))


def test_what_is_unknown_has_no_chart() -> None:
    bare = points_of([record(mean_tpot_ms=None), record(batch_size=16, mean_tpot_ms=None)])
    assert pareto(bare, title="t") is None
    assert energy_lines(bare, title="t") is None
    assert cost_lines(bare, title="t") is None


def test_predictions_count_what_their_intervals_hold() -> None:
    chart = predicted_and_measured(TOLD, title="t")
    assert [s.name for s in chart.series] == [
        "hf: 0 of 1 inside",
        "vllm: 1 of 2 inside",
        "predicted = measured",
    ]
    assert "1 of 3 measurements lie inside" in chart.alt


def test_residuals_are_shares_of_what_was_predicted() -> None:
    chart = residuals({"A100": TOLD[:1], "H200": TOLD}, title="t")
    assert [box.name for box in chart.boxes] == ["H200", "A100"]
    assert chart.boxes[1].values == pytest.approx((-10.0,))


def test_a_place_knows_the_engines_knobs() -> None:
    run = record(knobs={"enforce_eager": True})
    assert place_of(run) == Place("vllm", 1, 8, "enforce_eager=True")
