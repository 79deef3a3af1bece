"""Files that a fault has damaged: the shipped surrogate, journals, the cache beside the store."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.errors import SurrogateError
from autotune.store.journal import read_journal
from recommender.surrogate.artifact import META_FILE, TREES_FILE, read_surrogate
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.lightly import Bench, assert_nothing_lost_or_doubled


def damage(path: Path, chance: random.Random) -> None:
    """Flip a bit, cut the end off, or leave zeros in the middle."""
    data = bytearray(path.read_bytes())
    at = chance.randrange(len(data))
    kind = chance.choice(("flip", "cut", "zeros"))
    if kind == "flip":
        data[at] ^= 1 << chance.randrange(8)
    elif kind == "cut":
        del data[at:]
    else:
        data[at : at + 4096] = bytes(len(data[at : at + 4096]))
    path.write_bytes(data)


@pytest.mark.parametrize("name", [TREES_FILE, META_FILE])
def test_a_damaged_surrogate_is_refused_by_its_checksum(name: str, tmp_path: Path) -> None:
    trees, meta = read_surrogate(PRETRAINED)
    chance = random.Random(name)
    for attempt in range(50):
        folder = tmp_path / str(attempt)
        folder.mkdir()
        (folder / TREES_FILE).write_bytes(trees)
        (folder / META_FILE).write_text(meta.dumps(trees), encoding="utf-8")
        damage(folder / name, chance)
        with pytest.raises(SurrogateError, match=r"checksum|damaged|format") as caught:
            Predictor.load(folder)
        assert str(folder) in str(caught.value)
        shutil.rmtree(folder)


def test_a_journal_torn_anywhere_is_gone_on_with(tmp_path: Path) -> None:
    bench = Bench(tmp_path).prepare()
    assert bench.run_here().code == 0
    whole = bench.journal.read_bytes()
    before = bench.records()
    chance = random.Random(0)
    for _ in range(10):
        at = chance.randrange(1, len(whole))
        bench.journal.write_bytes(whole[:at])
        n_whole = len(read_journal(bench.journal))
        ended = bench.run_here()
        assert ended.code == 0
        records = bench.records()
        assert records[:n_whole] == before[:n_whole]
        assert_nothing_lost_or_doubled(records)


@pytest.mark.parametrize("attempt", range(5))
def test_of_two_studies_that_resume_one_journal_one_is_refused(
    attempt: int, tmp_path: Path
) -> None:
    bench = Bench(tmp_path, {"LIGHT_ENGINE_PASS_S": "0.02"}).prepare()
    with bench.start() as one, bench.start() as other:
        errors = [process.communicate(timeout=300)[1] for process in (one, other)]
    assert sorted((one.returncode, other.returncode)) == [0, 1]
    assert "journal journal.jsonl is in use by another study" in errors[one.returncode == 0]
    assert_nothing_lost_or_doubled(bench.records())


def test_a_damaged_cache_is_read_from_the_store_again(
    tmp_path: Path, new_store: Callable[[Path], str]
) -> None:
    bench = Bench(tmp_path).prepare()
    assert bench.run_here("--tracking-uri", new_store(tmp_path)).code == 0
    asked = (
        *("recommend", "--model", "light-model", "--target-gpu", "H100", "--engine", "hf"),
        *("--input-len", "16", "--output-len", "4", "--json"),
    )
    first = json.loads(bench.here(*asked).out)
    chance = random.Random(1)
    for path in sorted((tmp_path / "mlruns" / "cache").glob("*.json*")):
        if path.stat().st_size:
            damage(path, chance)
            again = bench.here(*asked)
            assert again.code == 0, again.err
            best = json.loads(again.out)["best"]
            assert best["output_throughput"] == pytest.approx(first["best"]["output_throughput"])
