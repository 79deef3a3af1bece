"""Re-tuning gain as the paper defines it, and the paper's numbers from its own files."""

import json
import statistics
from pathlib import Path

import pytest

from autotune.errors import InvalidRecordError
from autotune.importers.readers.published import infpop
from autotune.schema.record import RunRecord
from research.paper.findings import (
    DIRECTIONS,
    Direction,
    gains,
    mean_percent,
    paper_landscapes,
    plotted,
    retuning_gain,
)
from research.paper.gain import RUNS, Harvest, achieved, optimiser_gains
from research.paper.report import paper_report
from research.paper.tables import check_tables
from tests.support.records import record
from tests.support.shared_data import INFPOP, needs_infpop

IDS = [f"{d.engine}-{d.name}" for d in DIRECTIONS]


def test_the_gain_is_the_best_over_the_kept_configuration_on_the_target() -> None:
    gain = retuning_gain("m", {(1, 8): 50.0, (2, 8): 90.0}, {(1, 8): 40.0, (2, 8): 32.0})
    assert (gain.kept, gain.best, gain.percent) == ((2, 8), (1, 8), 25.0)


def test_the_kept_configuration_is_one_that_ran_on_both() -> None:
    gain = retuning_gain("m", {(1, 8): 50.0, (8, 8): 900.0}, {(1, 8): 40.0, (2, 8): 60.0})
    assert (gain.kept, gain.percent) == ((1, 8), 50.0)
    with pytest.raises(ValueError, match="no configuration ran on both"):
        retuning_gain("m", {(1, 8): 50.0}, {(2, 8): 60.0})


def _run(gpu: str, batch_size: int, throughput: float) -> RunRecord:
    return record(gpu=gpu, batch_size=batch_size, output_throughput=throughput, output_len=5)


def test_the_odd_batch_is_left_out_where_the_paper_does() -> None:
    lands = paper_landscapes(
        [
            _run("V100-32GB", 8, 10.0),
            _run("V100-32GB", 1028, 20.0),
            _run("A100-40GB", 8, 30.0),
            _run("A100-40GB", 1028, 15.0),
        ],
        with_suspect=False,
    )
    by_name = {(d.engine, d.name): d for d in DIRECTIONS}
    [up] = gains(lands, by_name[("vllm", "upgrade")])
    assert up.percent == 0.0
    [down] = gains(lands, by_name[("vllm", "downgrade")])
    assert down.percent == 100.0


def test_a_folder_without_both_gpus_is_refused() -> None:
    lands = paper_landscapes([_run("V100-32GB", 8, 10.0)], with_suspect=True)
    with pytest.raises(InvalidRecordError, match="no model ran with hf on both"):
        gains(lands, DIRECTIONS[0])


def test_a_failed_choice_loses_everything() -> None:
    assert achieved(25.0, 0.0) == 25.0
    assert achieved(25.0, 1.0) == -100.0


def test_a_file_that_is_not_the_optimisers_is_named(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text('{"data": [{"allImprovements": [{}]}]}', encoding="utf-8")
    with pytest.raises(InvalidRecordError, match=r"results\.json"):
        optimiser_gains(path)


@pytest.fixture(scope="module")
def published() -> list[RunRecord]:
    return infpop.read(INFPOP).records


@needs_infpop
@pytest.mark.parametrize("direction", DIRECTIONS, ids=IDS)
def test_rq4_gives_the_papers_number(published: list[RunRecord], direction: Direction) -> None:
    found = gains(paper_landscapes(published, with_suspect=True), direction)
    assert mean_percent(plotted(found)) == pytest.approx(direction.published, abs=0.001)
    assert mean_percent(found) == pytest.approx(direction.published_all, abs=0.001)


@needs_infpop
@pytest.mark.parametrize("direction", DIRECTIONS, ids=IDS)
def test_rq4_gives_each_models_published_gain(
    published: list[RunRecord], direction: Direction
) -> None:
    rows = json.loads((INFPOP / direction.results).read_text(encoding="utf-8"))["data"]
    theirs = {row["model"].lower(): row["median"] for row in rows if "median" in row}
    ours = {
        gain.model.rpartition("/")[2].lower(): gain.percent
        for gain in gains(paper_landscapes(published, with_suspect=True), direction)
    }
    assert ours == pytest.approx(theirs, abs=0.001)
    assert statistics.fmean(theirs.values()) == pytest.approx(direction.published_all, abs=0.001)


@needs_infpop
def test_rq2_matches_the_published_tables_cell_by_cell(published: list[RunRecord]) -> None:
    check = check_tables(paper_landscapes(published, with_suspect=True), INFPOP / "RQ2_tables")
    assert (check.compared, check.differing) == (2386, ())
    assert (check.bests, check.bests_differing) == (278, ())


@needs_infpop
def test_the_report_prints_ours_beside_the_papers(published: list[RunRecord]) -> None:
    played = [
        Harvest(direction=d, models=2, attainable=10.0, gain=dict.fromkeys(RUNS, 5.0), by_model={},
                infpop=8.0, infpop_attainable=16.0)
        for d in DIRECTIONS
    ]  # fmt: skip
    made = paper_report(published, INFPOP, played)
    assert "2386 cells compared, 0 differ" in made.summary
    assert "| hf | upgrade | 19 | 28.358 | 9.164 | 9.164 (28.36 with all) |" in made.summary
    assert "5.00 (50%)" in made.text
    assert made.metrics["rq4_vllm_downgrade_percent"] == pytest.approx(6.899, abs=0.001)
