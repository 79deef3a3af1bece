"""The section on deploying: one start a host, a pod a replica, and what was measured otherwise."""

from collections.abc import Sequence

import pytest
from rich.console import Console

from autotune.schema.record import RunRecord
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.answer_tables import recommendation_view
from recommender.reports.deploying import deployment
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

RUN = {
    "source": "autotune",
    "gpu": "H100-80GB",
    "batch_size": 64,
    "output_throughput": 123456.0,
    "knobs": {"block_size": 32},
}


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return Predictor.load(PRETRAINED)


def asked(predictor: Predictor, max_gpus: int, known: Sequence[RunRecord] = ()) -> Recommendation:
    query = Query(model="meta-llama/Llama-3.1-8B", target_gpu="H100", max_gpus=max_gpus)
    return recommend(query, predictor, known)


def test_a_host_starts_all_replicas_and_every_pod_is_one(predictor: Predictor) -> None:
    made = asked(predictor, 4)
    assert (made.best.n_gpus, made.best.replicas) == (1, 4)
    text = deployment(made, None, ())
    assert text.startswith("4 x 1 GPU.")
    assert made.best.command in text, "the terminal's line and the report's are one"
    assert text.count("--data-parallel-size 4") == 2
    assert "replicas: 4" in text
    assert f"vllm-openai:v{made.engine_version} " in text
    assert "Predicted as it would be measured: without prefix caching" in text


def test_what_was_measured_is_deployed_with_its_knobs_and_version(predictor: Predictor) -> None:
    known = [record(**RUN, engine_version="0.27.1")]
    made = asked(predictor, 2, known)
    text = deployment(made, None, known)
    assert made.best.command in text
    assert "--block-size 32" in text
    assert "vllm-openai:v0.27.1 " in text
    assert "Measured without prefix caching, with random weights" in text


def test_the_terminal_says_it_beneath_the_line(predictor: Predictor) -> None:
    made = asked(predictor, 1)
    console = Console(width=80, force_terminal=False)
    with console.capture() as shown:
        console.print(recommendation_view(made))
    lines = shown.get().splitlines()
    at = next(i for i, line in enumerate(lines) if line.startswith("Deploy:"))
    assert lines[at + 1].startswith("         Predicted as it would be measured: without prefix")
    assert all(len(line) <= 80 for line in lines[at + 1 : at + 3])
    assert lines[at + 2].startswith("         "), "what is wrapped hangs beneath"
    assert any(line.startswith("It holds for vllm 0.26.0") for line in lines)
