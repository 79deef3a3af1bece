"""What a refinement holds where it was."""

from pathlib import Path

import pytest

from autotune.catalog.gpus import add_gpus, find_gpu, load_gpus
from autotune.catalog.models import catalogue_names
from recommender.training.anchors import (
    ANCHOR_GPUS,
    ANCHOR_MODELS,
    N_ANCHORS,
    anchor_configurations,
    anchors_for,
)
from tests.support.gpu_files import write_gpus
from tests.support.records import record


def test_anchors_are_of_gpus_of_the_catalogue_from_every_generation() -> None:
    assert all(find_gpu(name).name == name for name in ANCHOR_GPUS)
    assert len(set(ANCHOR_GPUS)) == len(ANCHOR_GPUS)
    generations = {spec.architecture for spec in load_gpus().values()}
    assert {find_gpu(name).architecture for name in ANCHOR_GPUS} == generations


def test_anchors_are_of_models_of_the_catalogue() -> None:
    assert len(set(ANCHOR_MODELS)) == len(ANCHOR_MODELS)
    assert set(ANCHOR_MODELS) <= set(catalogue_names())


@pytest.mark.usefixtures("no_own_gpus")
def test_a_gpu_more_changes_no_anchor(tmp_path: Path) -> None:
    before = anchor_configurations(0, [])
    add_gpus(write_gpus(tmp_path / "mine.toml"))
    assert anchor_configurations(0, []) == before
    assert len(before) == N_ANCHORS


def test_anchors_carry_the_versions_of_the_users_runs_and_some_rows_of_before() -> None:
    own = [record(engine_version="9.9.9")]
    before = [record(batch_size=size) for size in (1, 2, 3)]
    anchors = anchors_for(own, before, seed=1)
    assert len(anchors) == N_ANCHORS + 3
    assert {a.engine_version for a in anchors[:N_ANCHORS] if a.engine == "vllm"} == {"9.9.9"}
