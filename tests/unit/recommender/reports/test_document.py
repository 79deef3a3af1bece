"""A recommendation's report: every section, and the line that asks the same again."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from autotune.cli import main
from autotune.schema.workload import Slo, Workload
from autotune.views.charts.model import Lines
from autotune.views.pages.document import Figure
from recommender.commands.report import recommendation_document
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import Replay
from recommender.recommendation.query import OBJECTIVES, Query, recommend_line
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.charts import proof_figures
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

QUERIES = st.builds(
    Query,
    model=st.just("meta-llama/Llama-3.1-8B"),
    target_gpu=st.sampled_from(["H100-80GB", "H200"]),
    source_gpu=st.sampled_from([None, "A100-80GB"]),
    engine=st.sampled_from(["vllm", "hf", "all"]),
    max_gpus=st.sampled_from([1, 8]),
    max_batch_size=st.sampled_from([64, 1024]),
    workload=st.builds(Workload, input_len=st.integers(1, 600), output_len=st.integers(1, 200)),
    dtype=st.sampled_from(["auto", "float16"]),
    objective=st.sampled_from([o for o in OBJECTIVES if o not in ("cost", "goodput")]),
    slo=st.builds(Slo, max_tpot_ms=st.sampled_from([None, 12.5])),
    prices=st.sampled_from([{}, {"H100-80GB": 2.9, "H200": 4.0}]),
    tolerance=st.sampled_from([0.02, 0.1]),
)


@given(QUERIES)
@settings(max_examples=60)
def test_the_line_to_repeat_says_all_that_was_asked(query: Query) -> None:
    name, *arguments = shlex.split(recommend_line(query))[1:]
    asked = main.commands[name].make_context(name, arguments).params
    for field in ("target_gpu", "source_gpu", "engine", "max_gpus", "max_batch_size", "dtype",
                  "objective", "tolerance"):  # fmt: skip
        assert asked[field] == getattr(query, field)
    assert (asked["input_len"], asked["output_len"]) == (
        query.workload.input_len,
        query.workload.output_len,
    )
    assert asked["max_tpot_ms"] == query.slo.max_tpot_ms
    assert dict(p.split("=") for p in asked["price"]) == {
        gpu: f"{dollars:g}" for gpu, dollars in query.prices.items()
    }


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, new_store: Callable[..., str]
) -> tuple[Recommendation, str]:
    folder = tmp_path_factory.mktemp("advice")
    uri = new_store(folder, "mlflow.db")
    query = Query(
        model="meta-llama/Llama-3.1-8B",
        target_gpu="H100",
        source_gpu="A100",
        prices={"H100-80GB": 2.9, "A100-80GB": 1.8},
        objective="per-gpu",
    )
    made = recommend(query, Predictor.load(PRETRAINED))
    ledger.save(made, folder)
    return made, uri


def test_an_unconfirmed_one_has_every_section(made: tuple[Recommendation, str]) -> None:
    recommendation, uri = made
    document = recommendation_document(recommendation.recommendation_id, uri)
    text = "\n".join(block for block in document.blocks if isinstance(block, str))
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == [
        "What was asked", "The answer", "Why", "Proof", "How to deploy it", "How to repeat it",
        "Environment",
    ]  # fmt: skip
    assert "Not confirmed by runs yet" in text
    assert f"replicas: {recommendation.best.replicas}" in text
    assert "A100-80GB to H100-80GB" in text
    figures = [block.name for block in document.blocks if isinstance(block, Figure)]
    assert figures == ["landscape", "map-vllm", "pareto", "energy", "cost"]


def test_a_known_landscape_shows_regret_and_tpe_beside_it_where_asked_for() -> None:
    runs = [
        record(batch_size=2**k, output_throughput=170.0 * 2**k / (1 + 2**k / 60), session_id=None)
        for k in range(9)
    ]
    query = Query(model=runs[0].model, target_gpu="H200", max_gpus=1, max_batch_size=256)
    predictor = Predictor.load(PRETRAINED)
    advice = recommend(query, predictor)
    done = confirm(advice, Replay(runs), predictor, runs=3).to_dict()
    predicted, regret = (figure.chart for figure in proof_figures(advice, done, runs))
    assert "of 9 measurements lie inside" in predicted.alt
    assert isinstance(regret, Lines)
    (ours,) = regret.series
    assert ours.y[-1] == pytest.approx(0.0, abs=3)
    assert list(ours.y) == sorted(ours.y, reverse=True)
    _, asked = (figure.chart for figure in proof_figures(advice, done, runs, with_tpe=True))
    assert isinstance(asked, Lines)
    assert [line.name for line in asked.series] == ["these runs", "Optuna TPE (mean of 10)"]
    assert asked.series[0].y == ours.y
    assert [f.name for f in proof_figures(advice, done, runs[:2])] == []


def test_the_command_writes_what_it_says(made: tuple[Recommendation, str], tmp_path: Path) -> None:
    recommendation, uri = made
    output = tmp_path / "out.html"
    done = CliRunner().invoke(
        main,
        ["report", recommendation.recommendation_id, "--output", str(output), "--static",
         "--json", "--tracking-uri", uri],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["html"] == str(output)
    assert "<script" not in output.read_text(encoding="utf-8")
