"""Learning from own runs on top of the shipped surrogate."""

import dataclasses
import shutil
import statistics
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names
from autotune.errors import SurrogateError
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE
from recommender.surrogate.artifact import META_FILE, read_surrogate
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.dataset import prepare
from recommender.training.refine import LEAST_SHRINKAGE, refine, stages
from tests.support.records import record

SHIPPED = Predictor.load(PRETRAINED)
QUESTIONS = [record(batch_size=2**k).configuration for k in range(10)]
FAR = Configuration(
    engine="hf", model="google/gemma-2b", gpu="A10", n_gpus=1, batch_size=8, input_len=64,
    output_len=16,
)  # fmt: skip


def speeds(predictor: Predictor, questions: list[Configuration]) -> list[float]:
    return [prediction.output_throughput for prediction in predictor.predict(questions)]


def own_runs(factor: float) -> list:
    pairs = zip(QUESTIONS, speeds(SHIPPED, QUESTIONS), strict=True)
    return [record(batch_size=q.batch_size, output_throughput=speed * factor) for q, speed in pairs]


@pytest.mark.parametrize("named", [True, False], ids=["version named", "no version named"])
def test_ten_own_runs_move_their_landscape_and_leave_the_rest(named: bool) -> None:
    refined = refine(own_runs(0.5), PRETRAINED).predictor
    asked = QUESTIONS if named else [dataclasses.replace(q, engine_version=None) for q in QUESTIONS]
    for new, old in zip(speeds(refined, asked), speeds(SHIPPED, QUESTIONS), strict=True):
        assert new / old == pytest.approx(0.5, rel=0.3)
    assert speeds(refined, [FAR])[0] == pytest.approx(speeds(SHIPPED, [FAR])[0], rel=0.15)


def test_the_same_runs_give_the_same_surrogate() -> None:
    first, second = (speeds(refine(own_runs(0.7), PRETRAINED).predictor, QUESTIONS) for _ in "ab")
    assert first == second


def test_too_few_runs_say_how_many_there_are() -> None:
    with pytest.raises(SurrogateError, match="only 2 of 2"):
        refine(own_runs(0.5)[:2], PRETRAINED)


def error(predictor: Predictor, rows: list[RunRecord]) -> float:
    said = speeds(predictor, [row.configuration for row in rows])
    return statistics.median(
        abs(speed / (row.output_throughput or 1.0) - 1)
        for speed, row in zip(said, rows, strict=True)
    )


@cache
def other_peoples_runs(n: int) -> list[RunRecord]:
    """Return runs of a harness half again as fast as the shipped surrogate says, unevenly."""
    rng = np.random.default_rng(0)
    models, gpus = catalogue_names(), [name for name in load_gpus() if not name.startswith("CPU")]
    drafts = [
        record(
            source="a colleague",
            model=models[rng.integers(len(models))],
            gpu=gpus[rng.integers(len(gpus))],
            n_gpus=int(2 ** rng.integers(4)),
            batch_size=int(2 ** rng.integers(10)),
            session_id=None,
            started_at=None,
            notes=str(k),
        )
        for k in range(n)
    ]
    pairs = zip(drafts, speeds(SHIPPED, [d.configuration for d in drafts]), strict=True)
    noise = np.exp(rng.normal(0.4, 0.3, n))
    return [
        dataclasses.replace(draft, output_throughput=speed * float(factor), run_key=None)
        for (draft, speed), factor in zip(pairs, noise, strict=True)
    ]


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["vllm", "hf"])
@pytest.mark.parametrize("n_others", [0, 16_000])
def test_ten_own_runs_help_and_are_never_drowned(engine: str, n_others: int) -> None:
    sizes = [2**k for k in range(10)] + [3 * 2**k for k in range(8)]
    drafts = [record(source=OWN_SOURCE, engine=engine, batch_size=size) for size in sizes]
    pairs = zip(drafts, speeds(SHIPPED, [d.configuration for d in drafts]), strict=True)
    rows = [
        dataclasses.replace(draft, output_throughput=speed * 0.6, run_key=None)
        for draft, speed in pairs
    ]
    own, unseen = rows[:10], rows[10:]
    refined = refine([*other_peoples_runs(n_others), *own], PRETRAINED).predictor
    assert error(SHIPPED, unseen) == pytest.approx(1 / 0.6 - 1)
    assert error(refined, unseen) < 0.35 * error(SHIPPED, unseen)


def test_the_users_runs_are_taught_last() -> None:
    known = next(iter(SHIPPED.meta.source_effects)).rpartition("|")[0]
    rows = [record(source=source) for source in (OWN_SOURCE, "a colleague", known)]
    parts = stages(prepare(rows), SHIPPED.meta)
    assert [(name, part.records[0].source) for name, part in parts.items()] == [
        ("collections", known),
        ("others", "a colleague"),
        ("own", OWN_SOURCE),
    ]


@pytest.mark.parametrize("engine", ["vllm", "hf"])
def test_trees_that_were_not_believed_at_all_can_still_learn(engine: str, tmp_path: Path) -> None:
    prior = tmp_path / "prior"
    shutil.copytree(PRETRAINED, prior)
    trees, meta = read_surrogate(prior)
    doubtful = dataclasses.replace(meta, shrinkage=dict.fromkeys(meta.shrinkage, 0.0))
    (prior / META_FILE).write_text(doubtful.dumps(trees))
    before = Predictor.load(prior)
    questions = [dataclasses.replace(q, engine=engine) for q in QUESTIONS]
    runs = [
        record(engine=engine, batch_size=q.batch_size, output_throughput=speed * 0.6)
        for q, speed in zip(questions, speeds(before, questions), strict=True)
    ]
    refined = refine(runs, prior).predictor
    for new, run in zip(speeds(refined, questions), runs, strict=True):
        assert new == pytest.approx(run.output_throughput, rel=0.3)
    assert max(refined.meta.shrinkage.values()) == LEAST_SHRINKAGE
    elsewhere = dataclasses.replace(FAR, engine="hf" if engine == "vllm" else "vllm")
    assert speeds(refined, [elsewhere]) == speeds(before, [elsewhere])
