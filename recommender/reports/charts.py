"""Charts of a recommendation: what was predicted, what was chosen, and what came of it."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.schema.record import RunRecord, short_name
from autotune.views.charts.judgement import (
    PredictedPoint,
    predicted_and_measured,
    regret_lines,
    residuals,
)
from autotune.views.charts.landscape import (
    Marks,
    Place,
    Point,
    cost_lines,
    energy_lines,
    pareto,
    points_of,
    speed_lines,
    speed_map,
)
from autotune.views.charts.model import Chart
from autotune.views.pages.document import Figure
from recommender.evaluation.replay import case_of, tpe_order
from recommender.features.table import is_catalogued
from recommender.recommendation.candidates import Candidate, cell, configuration_of
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.ledger import worth
from recommender.surrogate.predictor import PRETRAINED, Predictor

_FEWEST_POINTS, _FEWEST_CELLS, _TPE_SEEDS = 3, 5, 10
_MOST_JUDGED = 3000


def place(candidate: Candidate) -> Place:
    """Return where a candidate lies among those of its recommendation."""
    return Place(candidate.engine, candidate.n_gpus, candidate.batch_size)


def _point(candidate: Candidate) -> Point:
    return Point(
        place=place(candidate),
        output_throughput=candidate.output_throughput,
        low=candidate.low,
        high=candidate.high,
        tpot_ms=candidate.tpot_ms,
        energy_j_per_token=candidate.energy_j_per_token,
        cost_per_mtok=candidate.cost_per_mtok,
        can_run=candidate.can_run,
    )


def marks_of(made: Recommendation, winner: Mapping[str, Any] | None = None) -> Marks:
    """Return the words on the chosen, the kept and, after a confirmation, the winning place."""
    marks = {place(made.best): "recommended"}
    if made.keep_source is not None:
        kept = place(made.keep_source)
        marks[kept] = "recommended, kept" if kept in marks else "kept"
    if winner is not None:
        won = Place(winner["engine"], winner["n_gpus"], winner["batch_size"])
        marks[won] = f"{marks[won]}, winner" if won in marks else "winner"
    return marks


def advice_figures(
    made: Recommendation,
    winner: Mapping[str, Any] | None = None,
    known: Sequence[RunRecord] = (),
) -> list[Figure]:
    """Return the charts of what was predicted, the landscape with known runs over it first."""
    work = made.query.workload
    title = (
        f"{short_name(made.query.model)} on {made.target_gpu}, {work.input_len}/{work.output_len} "
        "tokens"
    )
    points, marks = [_point(c) for c in made.landscape], marks_of(made, winner)
    found: dict[str, Chart | None] = {
        "landscape": speed_lines(
            points,
            title=f"{title}: throughput",
            marks=marks,
            interval="90 % interval",
            measured=points_of(measured_cells(made, known).values()),
        )
    }
    for engine in sorted({p.place.engine for p in points}):
        own = [p for p in points if p.place.engine == engine]
        words = {at: word for at, word in marks.items() if at.engine == engine}
        found[f"map-{engine}"] = speed_map(own, title=f"{title}, {engine}: throughput", marks=words)
    found |= {
        "pareto": pareto(points, title=f"{title}: throughput against latency", marks=marks),
        "energy": energy_lines(points, title=f"{title}: energy", marks=marks),
        "cost": cost_lines(points, title=f"{title}: cost", marks=marks),
    }
    return [Figure(name=name, chart=chart) for name, chart in found.items() if chart is not None]


def proof_figures(
    made: Recommendation,
    document: Mapping[str, Any],
    known: Sequence[RunRecord],
    *,
    with_tpe: bool = False,
) -> list[Figure]:
    """Return the charts of a confirmation: predictions met, and regret after each run.

    Args:
        document: What ``ledger`` keeps of the confirmation.
        known: Runs of the model that the store holds.
        with_tpe: Whether Optuna's TPE is replayed on them too, ten studies.
    """
    measured = measured_cells(made, known)
    confirmed_points = _points(made, measured)
    found: dict[str, Chart | None] = {
        "predicted": predicted_and_measured(
            confirmed_points, title="Predicted when it was recommended"
        )
        if len(confirmed_points) >= _FEWEST_POINTS
        else None,
        "regret": _regret(made, document, list(measured.values()), with_tpe=with_tpe),
    }
    return [Figure(name=name, chart=chart) for name, chart in found.items() if chart is not None]


def measured_cells(
    made: Recommendation, known: Sequence[RunRecord]
) -> dict[tuple[object, ...], RunRecord]:
    """Return a measured run of each configuration considered; the last of several."""
    asked = set(worth(made))
    return {cell(r): r for r in known if r.is_measured and not r.suspect and cell(r) in asked}


def _points(
    made: Recommendation, measured: Mapping[tuple[object, ...], RunRecord]
) -> list[PredictedPoint]:
    confirmed_points = []
    for candidate in made.landscape:
        at = configuration_of(made.query, made.target_gpu, *place(candidate)[:3])
        run = measured.get(cell(at))
        if run is not None and candidate.status == "predicted" and run.output_throughput:
            confirmed_points.append(
                PredictedPoint(
                    engine=candidate.engine,
                    name=f"{candidate.n_gpus} x {candidate.batch_size}",
                    predicted=candidate.output_throughput,
                    low=candidate.low,
                    high=candidate.high,
                    measured=run.output_throughput,
                )
            )
    return confirmed_points


def _regret(
    made: Recommendation,
    document: Mapping[str, Any],
    rows: Sequence[RunRecord],
    *,
    with_tpe: bool,
) -> Chart | None:
    """Return regret over runs; ``None`` where too little of the landscape is known."""
    if len(rows) < _FEWEST_CELLS or made.query.objective != "throughput":
        return None
    best = max(row.output_throughput or 0.0 for row in rows)
    ours = [run["measured"]["output_throughput"] or 0.0 for run in document["runs"]]
    lines = {"these runs": _regrets(ours, best)}
    if with_tpe:
        lines[f"Optuna TPE (mean of {_TPE_SEEDS})"] = _tpe_regrets(rows, len(ours), best)
    return regret_lines(
        lines,
        title="Throughput given up after each run",
        n_configurations=len(rows),
    )


def _tpe_regrets(rows: Sequence[RunRecord], runs: int, best: float) -> list[float]:
    """Return the mean regret of replayed TPE studies after each run."""
    tries = []
    for seed in range(_TPE_SEEDS):
        order = tpe_order(case_of(rows), runs, seed)
        tries.append(_regrets([rows[i].output_throughput or 0.0 for i in order], best))
    return [statistics.fmean(values) for values in zip(*tries, strict=True)]


def _regrets(reached: Sequence[float], best: float) -> list[float]:
    return [max(1 - max(reached[: k + 1]) / best, 0.0) for k in range(len(reached))]


def residual_figures(records: Sequence[RunRecord]) -> list[Figure]:
    """Return how far the shipped surrogate, told none of these runs, is off by GPU and by model."""
    rows = [r for r in records if r.is_measured and not r.suspect and is_catalogued(r)]
    rows = rows[:: max(1, len(rows) // _MOST_JUDGED)]
    if not rows:
        return []
    predictions = Predictor.load(PRETRAINED).predict([row.configuration for row in rows])
    confirmed_points = [
        PredictedPoint(
            engine=row.engine,
            name=f"{short_name(row.model)} on {row.n_gpus} x {row.gpu}, batch {row.batch_size}",
            predicted=p.output_throughput,
            low=p.low,
            high=p.high,
            measured=row.output_throughput or 0.0,
        )
        for row, p in zip(rows, predictions, strict=True)
    ]
    by_gpu: dict[str, list[PredictedPoint]] = {}
    by_model: dict[str, list[PredictedPoint]] = {}
    for row, item in zip(rows, confirmed_points, strict=True):
        by_gpu.setdefault(row.gpu, []).append(item)
        by_model.setdefault(short_name(row.model), []).append(item)
    return [
        Figure(
            name="judged",
            chart=predicted_and_measured(
                confirmed_points, title="The shipped surrogate, told none of these runs"
            ),
        ),
        Figure(name="residuals-gpu", chart=residuals(by_gpu, title="Residuals by GPU")),
        Figure(name="residuals-model", chart=residuals(by_model, title="Residuals by model")),
    ]
