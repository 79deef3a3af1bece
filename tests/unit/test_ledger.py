"""Recommendations on disk."""

import json
from pathlib import Path

import pytest

from autotune.errors import InvalidConfigError
from recommender import ledger
from recommender.predictor import PRETRAINED, Predictor
from recommender.query import Query
from recommender.recommend import Recommendation, recommend


@pytest.fixture(scope="module")
def made() -> Recommendation:
    query = Query(model="meta-llama/Llama-3.1-8B", target_gpu="H100", source_gpu="A100")
    return recommend(query, Predictor.load(PRETRAINED))


def test_it_comes_back_by_id_by_file_and_by_printed_answer(
    made: Recommendation, tmp_path: Path
) -> None:
    path = ledger.save(made, tmp_path)
    printed = tmp_path / "answer.json"
    printed.write_text(json.dumps(made.to_dict()))
    for reference in (made.recommendation_id, str(path), str(printed)):
        assert ledger.load(reference, tmp_path) == made


def test_an_unknown_one_names_those_that_are_there(made: Recommendation, tmp_path: Path) -> None:
    ledger.save(made, tmp_path)
    with pytest.raises(InvalidConfigError, match=made.recommendation_id):
        ledger.load("000000000000", tmp_path)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"landscape": []}', "not json"])
def test_a_file_that_is_not_one_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(text)
    with pytest.raises(InvalidConfigError, match="is not a recommendation"):
        ledger.load(str(path), tmp_path)


def test_a_reference_cannot_leave_the_folder(made: Recommendation, tmp_path: Path) -> None:
    ledger.save(made, tmp_path / "store")
    outside = tmp_path / "secret.json"
    outside.write_text("{}")
    with pytest.raises(InvalidConfigError, match="no recommendation"):
        ledger.load("../../secret", tmp_path / "store")
