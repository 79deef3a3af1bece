"""``autotune report`` on a real store."""

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from autotune.cli import main
from autotune.store.tracking.store import EXPERIMENT, Store
from autotune.views.store_report import MOST_PANELS
from recommender.commands.report import report_study
from tests.support.records import record

HERE = "20260101-000000-abcdef"
RUNS = [
    *(record(batch_size=b, output_throughput=y) for b, y in ((1, 10.0), (2, 30.0), (4, 20.0))),
    record(batch_size=1, session_id="20260102-000000-fedcba", gpu="A100-80GB"),
]


@pytest.fixture
def uri(tmp_path: Path, new_store: Callable[[Path], str]) -> str:
    uri = new_store(tmp_path)
    Store(uri).log(RUNS)
    return uri


def test_a_studys_report_is_written_and_logged(uri: str, tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["report", HERE, "--tracking-uri", uri])
    assert done.exit_code == 0, done.output
    folder = tmp_path / "mlruns" / "reports" / HERE
    text = (folder / "report.md").read_text(encoding="utf-8")
    assert "| vllm | Llama-3.1-8B | H200 | 512/128 | closed_batch, auto, 0.26.0 | 3 | 0 " in text
    assert "| 1 x 2 | 30.0 | 1 | 50% | - |" in text
    assert "A100" not in text
    assert (folder / "landscape.png").stat().st_size > 0
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    [run] = client.search_runs(
        [experiment.experiment_id],
        f"tags.`autotune.kind` = 'study' and tags.`autotune.session_id` = '{HERE}'",
    )
    files = {Path(a.path).name for a in client.list_artifacts(run.info.run_id, "report")}
    assert {"report.html", "report.md", "landscape.png"} <= files
    assert "get-artifact?run_uuid=" in run.data.tags["mlflow.note.content"]


def test_all_takes_every_run_and_an_output_folder(uri: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    command = ["report", "all", "--tracking-uri", uri, "--output", str(folder)]
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert "A100-80GB" in (folder / "report.md").read_text(encoding="utf-8")


def test_an_unknown_study_is_a_usage_error(uri: str) -> None:
    done = CliRunner().invoke(main, ["report", "20260101-000000-abcdee", "--tracking-uri", uri])
    assert done.exit_code == 2
    assert HERE in done.output


def test_a_store_of_many_landscapes_is_reported_whole(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    uri = new_store(tmp_path)
    many = [
        record(batch_size=b, output_len=64 + k, output_throughput=10.0 * b)
        for k in range(MOST_PANELS + 3)
        for b in (1, 2)
    ]
    Store(uri).log(many)
    made = report_study("all", uri)
    assert made.markdown is not None
    assert made.markdown.read_text(encoding="utf-8").count("| vllm |") == MOST_PANELS + 3
    assert [path.suffix for path in made.files] == [".html", ".md", ".png"]
