"""What a prediction is made of: shares, SHAP values, neighbours, evidence."""

from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from autotune.store.cache import RecordCache
from recommender import api
from recommender.commands.explain import explain_recommendation
from recommender.features.encode import FEATURE_NAMES, encode
from recommender.recommendation.candidates import configuration_of
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.reports import ledger
from recommender.reports.answer_tables import recommendation_view
from recommender.reports.attribution import account_for
from recommender.reports.tables import explanation_view
from recommender.surrogate.neighbours import learned_from, nearest_measured
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.fit import contributions, load_booster
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)
QUERY = Query(model="meta-llama/Llama-3.1-8B", target_gpu="H100", top=3)
KNOWN = [record(gpu="H200", batch_size=b, output_throughput=170.0 * b**0.8) for b in (1, 8, 64)]


def test_shap_values_sum_to_what_the_trees_say() -> None:
    asked = [run.configuration for run in KNOWN]
    shap = contributions(load_booster(PRETRAINED), encode(asked))
    assert shap.shape == (3, len(FEATURE_NAMES) + 1)
    np.testing.assert_allclose(shap.sum(axis=1), PREDICTOR.forest.predict(encode(asked)), atol=1e-4)


def test_shares_sum_to_one_and_the_largest_is_the_bottleneck() -> None:
    made = recommend(QUERY, PREDICTOR)
    places = [
        configuration_of(made.query, made.target_gpu, c.engine, c.n_gpus, c.batch_size)
        for c in made.candidates
    ]
    for account in account_for(made.candidates, places, PREDICTOR, PRETRAINED, []):
        assert sum(account.shares.values()) == pytest.approx(1.0)
        assert account.to_dict()["bottleneck"] == account.candidate.bottleneck
        assert account.neighbours == ()
        assert account.residual == pytest.approx(account.bias + sum(account.contributions.values()))
        strongest = [abs(value) for _, value in account.strongest(len(FEATURE_NAMES))]
        assert strongest == sorted(strongest, reverse=True)


def test_the_nearest_run_comes_first_and_another_engine_never() -> None:
    asked = record(gpu="H100-80GB", batch_size=64).configuration
    other = record(engine="hf", gpu="H100-80GB", batch_size=64)
    same = record(gpu="H100-80GB", batch_size=32)
    (near,) = nearest_measured(PREDICTOR, [asked], [*KNOWN, other, same])
    assert near[0].run == same
    assert all(n.run.engine == "vllm" for n in near)
    similarity = [n.similarity for n in near]
    assert similarity == sorted(similarity, reverse=True)
    assert 0 < similarity[0] <= 1


def test_the_evidence_names_the_nearest() -> None:
    seen = learned_from(PREDICTOR.meta, "vllm", "closed_batch", "H100-80GB", "google/gemma-7b")
    assert seen.has_gpu
    assert seen.gpus[0] == "H100-80GB"
    assert seen.has_model
    assert seen.models[0] == "google/gemma-7b"
    none = learned_from(PREDICTOR.meta, "vllm", "stream", "H100-80GB", "google/gemma-7b")
    assert (none.n_gpus, none.gpus, none.has_gpu) == (0, (), False)


def shown(view: object) -> str:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(view)
    return capture.get()


def test_a_saved_recommendation_is_explained_from_the_store(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    RecordCache(tmp_path).replace(KNOWN)
    made = api.recommend(
        QUERY.model,
        "H100",
        source_gpu="H200",
        prices={"H100": 2.9},
        max_tpot_ms=100,
        objective="energy",
        engine="all",
        tracking_uri=uri,
    )
    assert "$/Mtok" in shown(recommendation_view(made))
    told = explain_recommendation(made.recommendation_id, uri, top=2)
    answer = told.to_dict()
    assert len(answer["candidates"]) == 2
    assert answer["candidates"][0]["neighbours"][0]["gpu"] == "H200"
    assert len(answer["helpful_runs"]) == 2
    assert answer["evidence"]["vllm"]["has_gpu"]
    text = shown(explanation_view(told))
    assert "Own runs that say most about the best" in text
    assert "kv reads" in text
    assert ledger.load(made.recommendation_id, tmp_path) == made
