"""The Python side of the command line: typed results that show themselves."""

from collections.abc import Callable
from pathlib import Path

import pytest

import autotune
import recommender
from autotune.errors import InvalidConfigError, UnknownGpuError
from autotune.study.result import StudyResult
from recommender.recommendation.recommendation import Recommendation
from tests.support.records import record

MODEL = "meta-llama/Llama-3.1-8B"
RUNS = [
    record(batch_size=2**k, output_throughput=170.0 * 2**k / (1 + 2**k / 60), session_id=None)
    for k in range(9)
]


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> str:
    return new_store(tmp_path_factory.mktemp("api"))


@pytest.fixture(scope="module")
def made(uri: str) -> Recommendation:
    return recommender.recommend(
        MODEL, "H200", source_gpu="A100", max_gpus=1, prices={"H200": 4}, tracking_uri=uri
    )


def test_the_functions_stay_in_front_of_the_modules_of_their_names() -> None:
    from recommender.confirmation.confirm import confirm
    from recommender.recommendation.recommend import recommend

    assert recommender.recommend is not recommend
    assert recommender.confirm is not confirm
    assert callable(recommender.recommend)
    assert callable(recommender.confirm)


def test_a_recommendation_shows_itself_in_a_line_and_in_a_notebook(made: Recommendation) -> None:
    line = repr(made)
    assert line.startswith(f"<Recommendation {made.recommendation_id}: {MODEL} on 1 x H200")
    assert len(line) < 250
    shown = made._repr_html_()
    assert "data:image/png;base64," in shown
    assert "<script" not in shown
    assert made.best.cost_per_mtok is not None


def test_a_confirmation_by_records_shows_itself(made: Recommendation, uri: str) -> None:
    done = recommender.confirm(made, replay=RUNS, runs=2, tracking_uri=uri)
    assert len(done.runs) == 2
    assert repr(done).startswith(f"<Confirmation of {made.recommendation_id}: Winner after 2 runs")
    assert done._repr_html_().count("<tr>") == 3


def test_a_wrong_name_is_an_error_that_suggests(uri: str, tmp_path: Path) -> None:
    with pytest.raises(UnknownGpuError, match="Did you mean H100"):
        recommender.recommend(MODEL, "H10", tracking_uri=uri)
    with pytest.raises(InvalidConfigError, match="unknown key"):
        autotune.run(model="x", engine_name="hf", journal=tmp_path / "j.jsonl")


def test_a_study_shows_itself(tmp_path: Path) -> None:
    result = StudyResult(session_id="s-1", journal=tmp_path / "j", records=tuple(RUNS), remarks=())
    assert repr(result).startswith("<StudyResult s-1: 9 configurations; best: vllm on 1 x H200")
    assert "data:image/png;base64," in result._repr_html_()
    empty = StudyResult(session_id="s-1", journal=tmp_path / "j", records=(), remarks=())
    assert "nothing ran" in repr(empty)
    assert "Nothing was run" in empty._repr_html_()
