"""Disks that are full, or read-only, in the middle of a study and before it."""

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.schema.codec import from_json_line
from autotune.store.journal import read_journal
from tests.faults.disks import filled, make_read_only, mounted
from tests.support.lightly import N_TRIALS, Bench, assert_nothing_lost_or_doubled, end

RECOMMEND = (
    *("recommend", "--model", "light-model", "--target-gpu", "H100", "--engine", "hf"),
    *("--input-len", "16", "--output-len", "4"),
)


@pytest.mark.parametrize("after", range(1, 11))
def test_a_disk_full_while_journalling_costs_nothing(after: int, tmp_path: Path) -> None:
    bench = Bench(tmp_path).prepare()
    with mounted(tmp_path / "disk", size="2m") as disk:
        journal = disk / "j.jsonl"
        with bench.start("--journal", journal, LIGHT_ENGINE_PASS_S="0.02") as process:
            while not (journal.exists() and journal.read_bytes().count(b"\n") >= after):
                assert process.poll() is None
                time.sleep(0.005)
            with filled(disk):
                ended = end(process)
                before = read_journal(journal)
        assert ended.code == 1
        message, _, line = ended.err.partition("Error: ")[2].rstrip().partition("\n")
        assert f"cannot write to journal {journal}" in message
        assert "No space left on device" in message
        assert "--resume" in message
        # The result that found no room is in the message, whole.
        assert from_json_line(line).status == "completed"
        assert after <= len(before) < N_TRIALS
        assert bench.run_here("--journal", journal).code == 0
        after_all = read_journal(journal)
        assert after_all[: len(before)] == before
        assert_nothing_lost_or_doubled(after_all)


@pytest.mark.parametrize("size", ["300k", "900k", "1400k"])
def test_a_disk_without_room_for_a_new_store_leaves_no_half_store(
    size: str, tmp_path: Path
) -> None:
    bench = Bench(tmp_path).prepare()
    assert bench.run_here().code == 0
    with mounted(tmp_path / "disk", size=size) as disk:
        uri = f"sqlite:///{disk}/mlruns/mlflow.db"
        ended = bench.here("import", bench.journal, "--tracking-uri", uri)
        assert ended.code == 1
        assert f"cannot open the store {uri}: " in ended.err
        assert "disk" in ended.err
        assert not list((disk / "mlruns").glob("mlflow.db*"))


def test_a_disk_full_under_the_store_costs_the_study_nothing(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    bench = Bench(tmp_path).prepare()
    with mounted(tmp_path / "disk", size="12m") as disk:
        uri = new_store(disk)
        assert bench.here("sync", "--tracking-uri", uri).code == 0
        with bench.start("--tracking-uri", uri, LIGHT_ENGINE_PASS_S="0.05") as process:
            bench.wait_for_records(1, process)
            with filled(disk):
                ended = end(process)
        assert ended.code == 0
        assert_nothing_lost_or_doubled(bench.records())
        assert f"runs are in the journal alone (the store {uri} refused" in ended.out
        _assert_sync_catches_up(bench, uri)


def _assert_sync_catches_up(bench: Bench, uri: str) -> None:
    synced = bench.here("sync", bench.journal.name, "--tracking-uri", uri)
    assert synced.code == 0, synced.err
    again = bench.here("sync", bench.journal.name, "--tracking-uri", uri, "--json")
    assert json.loads(again.out)["journals"][0]["logged"] == 0
    exported = bench.here("export", "all.jsonl", "--tracking-uri", uri)
    assert exported.code == 0
    lines = (bench.folder / "all.jsonl").read_text().splitlines()
    assert {from_json_line(line).record_id for line in lines} == {
        record.record_id for record in bench.records()
    }
    assert len(lines) == N_TRIALS


def test_a_read_only_store_is_named_by_whatever_would_write_to_it(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    bench = Bench(tmp_path).prepare()
    with mounted(tmp_path / "disk", size="12m") as disk:
        at_store = ("--tracking-uri", new_store(disk))
        # A process of its own, which keeps no file of the disk open.
        assert bench.run(*at_store).code == 0
        make_read_only(disk)
        refused = [
            bench.here("run", "study.yaml", *at_store),
            bench.here("import", bench.journal, *at_store),
            bench.here(*RECOMMEND, *at_store),
            bench.here("export", disk / "x.jsonl", *at_store),
        ]
    for ended in refused:
        assert ended.code == 1, ended
        assert str(disk) in ended.err
        assert "Read-only" in ended.err
