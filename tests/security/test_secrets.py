"""Secrets that are planted wherever they may lie come out nowhere."""

from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.store.journal import read_journal
from tests.support.lightly import Bench

PLANTED = {
    "HF_TOKEN": "hf_PLANTED1SECRET",
    "HUGGING_FACE_HUB_TOKEN": "hf_PLANTED2SECRET",
    "MLFLOW_TRACKING_PASSWORD": "PLANTED3SECRET",
    "MLFLOW_TRACKING_TOKEN": "PLANTED4SECRET",
    "AWS_SECRET_ACCESS_KEY": "PLANTED5SECRET",
    "OPENAI_API_KEY": "sk-PLANTED6SECRET",
    "DATABASE": "postgresql://someone:PLANTED7SECRET@127.0.0.1/db",
}
# MLflow warns of the type hints of its own XGBoost flavour when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")
MARK = b"PLANTED"


def planted_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and MARK in path.read_bytes()]


def test_no_secret_reaches_a_journal_a_log_a_tag_or_an_artifact(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    # The engine fails with its whole environment in the message.
    bench = Bench(tmp_path, PLANTED | {"LIGHT_ENGINE_FAULT": "tells secrets"}).prepare()
    uri = new_store(tmp_path)
    ended = bench.run("--tracking-uri", uri)
    assert ended.code == 0
    told = [record for record in read_journal(bench.journal) if record.status == "crashed"]
    assert len(told) == 2
    assert all("the environment is" in (record.notes or "") for record in told)
    asked = ("--model", "light-model", "--target-gpu", "H100", "--engine", "hf")
    lengths = ("--input-len", "16", "--output-len", "4")
    others = [
        bench.here("recommend", *asked, *lengths, "--log", "--tracking-uri", uri),
        bench.here("train", "--tracking-uri", uri),
        bench.here("report", "all", "--tracking-uri", uri),
        bench.here("export", "all.jsonl", "--tracking-uri", uri),
    ]
    for one in (ended, *others):
        assert one.code == 0, one.err
        assert MARK.decode() not in one.out + one.err
    assert not planted_in(tmp_path)
    # The artifacts and the engine's own log are among what was searched.
    assert list(tmp_path.rglob("*.tail.log"))
    assert list((tmp_path / "mlruns" / "artifacts").rglob("*.md"))


def test_an_address_s_login_is_in_no_message_and_no_file(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {"XDG_CACHE_HOME": str(tmp_path / "cache")}).prepare()
    quick = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0"}
    ended = bench.run("--tracking-uri", "http://someone:PLANTED@127.0.0.1:1", **quick)
    assert ended.code == 1
    assert "cannot open the store http://127.0.0.1:1" in ended.err
    assert MARK.decode() not in ended.out + ended.err
    assert not planted_in(tmp_path)


def test_a_journal_s_names_stay_in_the_store_s_folder(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    """A journal from elsewhere may name its session as it likes."""
    bench = Bench(tmp_path).prepare()
    assert bench.run_here().code == 0
    evil = "../../../escaped'; DROP TABLE runs; --"
    lines = bench.journal.read_text().splitlines()
    session = read_journal(bench.journal)[0].session_id
    assert session is not None
    kept = [line.replace(session, evil) for line in lines[:-2]]
    bench.journal.write_text("\n".join(kept) + "\n")
    outside = set(tmp_path.parent.iterdir())
    uri = new_store(tmp_path)
    resumed = bench.run_here("--tracking-uri", uri, LIGHT_ENGINE_FAULT="exits")
    assert resumed.code == 0, resumed.err
    assert {record.session_id for record in bench.records()} == {evil}
    reported = bench.here("report", evil, "--tracking-uri", uri)
    assert reported.code == 0, reported.err
    assert set(tmp_path.parent.iterdir()) == outside
    written = list(tmp_path.rglob("*escaped*"))
    assert written
    assert {path.parent.name for path in written} <= {"logs", "reports", "journals", "artifacts"}
