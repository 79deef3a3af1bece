"""Challenger against champion: who is judged on what."""

import json
from functools import cache

import pytest

from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.promotion import Duel, fight
from recommender.training.refine import refine
from tests.support.records import record

SHIPPED = Predictor.load(PRETRAINED)


def own_runs(factor: float, **changes: object) -> list[RunRecord]:
    """Return ten runs at a factor of what the shipped surrogate says."""
    drafts = [record(source=OWN_SOURCE, batch_size=2**k, **changes) for k in range(10)]
    said = SHIPPED.predict([draft.configuration for draft in drafts])
    return [
        record(
            source=OWN_SOURCE,
            batch_size=draft.batch_size,
            **changes | {"output_throughput": prediction.output_throughput * factor},
        )
        for draft, prediction in zip(drafts, said, strict=True)
    ]


@cache
def fought(engine: str) -> Duel:
    """The fight over one landscape, run once."""
    return fight(own_runs(0.6, engine=engine), champion=SHIPPED, prior=PRETRAINED)


@cache
def taught() -> Predictor:
    """A champion that learned from the landscape."""
    return refine(own_runs(0.6), PRETRAINED).predictor


@pytest.mark.parametrize("engine", ["vllm", "hf"])
def test_a_single_landscape_is_enough_to_beat_the_shipped_surrogate(engine: str) -> None:
    duel = fought(engine)
    assert duel.is_won
    assert duel.challenger_ape is not None
    assert duel.champion_ape == pytest.approx(1 / 0.6 - 1)
    assert duel.challenger_ape < 0.5 * (1 / 0.6 - 1)
    assert {r.kind for r in duel.rounds} == {"batch_size"}
    assert not duel.is_refitted


def test_two_gpus_are_judged_as_whole_gpus() -> None:
    rows = [*own_runs(0.6), *own_runs(0.6, gpu="A100-80GB")]
    duel = fight(rows, champion=SHIPPED, prior=PRETRAINED)
    assert [(r.kind, r.name, r.rows) for r in duel.rounds] == [
        ("gpu", "A100-80GB", 10),
        ("gpu", "H200", 10),
    ]
    assert duel.is_won


@pytest.mark.slow
def test_a_champion_that_saw_the_runs_has_no_advantage() -> None:
    """As a file it would win on its own rows; refitted without them it is an equal."""
    rows = own_runs(0.6)
    champion = taught()
    learned = {row.record_id for row in rows}
    fair = fight(rows, champion=champion, prior=PRETRAINED, learned=learned)
    assert fair.is_refitted
    assert fair.champion_ape == fair.challenger_ape
    assert not fair.is_won
    unfair = fight(rows, champion=champion, prior=PRETRAINED)
    assert unfair.champion_ape is not None
    assert fair.champion_ape is not None
    assert unfair.champion_ape < fair.champion_ape


@pytest.mark.slow
def test_new_runs_beat_a_champion_that_lacks_them() -> None:
    old, new = own_runs(0.9), own_runs(0.4, gpu="A100-80GB", model="microsoft/phi-2")
    more = own_runs(0.4, gpu="A100-80GB", model="mistralai/Mistral-7B-v0.1")
    champion = refine(old, PRETRAINED).predictor
    duel = fight(
        [*old, *new, *more],
        champion=champion,
        prior=PRETRAINED,
        learned={row.record_id for row in old},
    )
    assert duel.is_won


def test_a_champion_whose_runs_are_gone_is_the_shipped_surrogate() -> None:
    duel = fight(own_runs(0.6), champion=SHIPPED, prior=PRETRAINED, learned={"gone"})
    assert duel.champion_ape == pytest.approx(1 / 0.6 - 1)


def test_confirmatory_runs_do_not_judge() -> None:
    rows = own_runs(0.6, purpose="confirm")
    duel = fight(rows, champion=SHIPPED, prior=PRETRAINED)
    assert duel.rounds == ()
    assert not duel.is_won
    assert "no backtest" in duel.text
    assert duel.metrics == {}
    assert "The champion stays." in duel.markdown


def test_confirmatory_runs_of_a_left_out_group_are_left_out_too() -> None:
    """Were they not, the copy of a judged run would tell the challenger what it is judged on."""
    rows = [*own_runs(0.6), *own_runs(0.9, gpu="A100-80GB")]
    copies = own_runs(0.9, gpu="A100-80GB", purpose="confirm", session_id="later")
    plain, copied = (
        fight(records, champion=SHIPPED, prior=PRETRAINED) for records in (rows, [*rows, *copies])
    )
    assert plain.rounds[0].name == copied.rounds[0].name == "A100-80GB"
    assert plain.rounds[0] == copied.rounds[0]


def test_the_report_says_what_was_left_out() -> None:
    duel = fought("vllm")
    page = duel.markdown
    assert "| batch_size 1, 2, 4 | 3 | 66.7% |" in page
    assert "The challenger wins." in page
    values = json.loads(json.dumps(duel.to_dict(), allow_nan=False))
    assert values["won"] is True
    assert len(values["folds"]) == 3
    assert set(duel.metrics) == {
        "champion_ape",
        "challenger_ape",
        "champion_coverage90",
        "challenger_coverage90",
    }
