"""The surrogate in force beside the store, whole at every moment."""

import json
import shutil
from pathlib import Path

import pytest

from autotune.errors import SurrogateError
from recommender.commands.recommend import advise
from recommender.recommendation.query import Query
from recommender.surrogate.artifact import FORMAT, META_FILE
from recommender.surrogate.in_force import (
    CHAMPION,
    changing,
    load_predictor,
    put_in_force,
    return_to_shipped,
    set_aside,
    surrogate_directory,
    version_in_force,
)
from recommender.surrogate.predictor import PRETRAINED

MODEL = "meta-llama/Llama-3.1-8B"


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "trained"
    folder.mkdir()
    (folder / "meta.json").write_text("2")
    return folder


def test_without_a_link_the_shipped_surrogate_answers(tmp_path: Path) -> None:
    assert version_in_force(tmp_path) is None
    assert surrogate_directory(tmp_path) == PRETRAINED
    return_to_shipped(tmp_path)


def test_a_version_comes_into_force_and_goes(tmp_path: Path, source: Path) -> None:
    put_in_force(tmp_path, "2", source)
    assert version_in_force(tmp_path) == "2"
    before = surrogate_directory(tmp_path)
    (source / "meta.json").write_text("3")
    put_in_force(tmp_path, "3", source)
    assert version_in_force(tmp_path) == "3"
    assert (tmp_path / CHAMPION / "meta.json").read_text() == "3"
    # who had begun to read the old one goes on reading it
    assert (before / "meta.json").read_text() == "2"
    return_to_shipped(tmp_path)
    assert surrogate_directory(tmp_path) == PRETRAINED


def test_putting_a_version_in_force_twice_is_the_same(tmp_path: Path, source: Path) -> None:
    for _ in range(2):
        put_in_force(tmp_path, "2", source)
    assert [p.name for p in surrogate_directory(tmp_path).iterdir()] == ["meta.json"]
    assert [p.name for p in surrogate_directory(tmp_path).parent.iterdir()] == ["2"]


def test_a_plain_folder_in_its_place_gives_way(tmp_path: Path, source: Path) -> None:
    (tmp_path / CHAMPION).mkdir()
    assert version_in_force(tmp_path) is None
    put_in_force(tmp_path, "2", source)
    assert version_in_force(tmp_path) == "2"


def test_a_link_to_a_version_that_was_deleted_is_none(tmp_path: Path, source: Path) -> None:
    put_in_force(tmp_path, "2", source)
    shutil.rmtree(surrogate_directory(tmp_path))
    assert version_in_force(tmp_path) is None
    assert surrogate_directory(tmp_path) == PRETRAINED


def test_what_an_interruption_left_is_no_obstacle(tmp_path: Path, source: Path) -> None:
    (tmp_path / f"{CHAMPION}.new").symlink_to("nowhere")
    with changing(tmp_path):
        put_in_force(tmp_path, "2", source)
    assert version_in_force(tmp_path) == "2"


@pytest.mark.parametrize("found", [FORMAT - 1, FORMAT + 1])
def test_a_champion_of_another_format_is_set_aside_in_a_sentence(
    tmp_path: Path, found: int
) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(PRETRAINED, trained)
    put_in_force(tmp_path, "7", trained)
    assert version_in_force(tmp_path) == "7"
    assert set_aside(tmp_path) is None
    meta = json.loads((trained / META_FILE).read_text())
    (trained / META_FILE).write_text(json.dumps(meta | {"format": found}))
    put_in_force(tmp_path, "8", trained)
    assert surrogate_directory(tmp_path) == PRETRAINED
    assert version_in_force(tmp_path) is None
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    asked = Query(model=MODEL, target_gpu="H100", max_gpus=1)
    made = advise(asked, uri)
    [remark] = [text for text in made.remarks if "set aside" in text]
    assert f"format {found} and this version reads {FORMAT}" in remark
    shipped = advise(asked, f"sqlite:///{tmp_path}/other/mlflow.db")
    assert made.best == shipped.best


def test_a_damaged_champion_is_an_error_and_not_set_aside(tmp_path: Path) -> None:
    trained = tmp_path / "trained"
    shutil.copytree(PRETRAINED, trained)
    (trained / META_FILE).write_text("{")
    put_in_force(tmp_path, "1", trained)
    with pytest.raises(SurrogateError, match="damaged"):
        load_predictor(tmp_path)
