"""`autotune run` interrupted and resumed, from outside as a person does it."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from autotune.journal import read_journal
from tests.integration.conftest import AUTOTUNE, Shop

RUN = (
    *("run", "--model", "demo-model", "--engine", "hf", "--batch-sizes", "1:8"),
    *("--input-len", "32", "--output-len", "16", "--time-budget", "1"),
    "--exhaustive",
)


@pytest.fixture(scope="module")
def model_shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    shop = Shop(tmp_path_factory.mktemp("run"))
    assert shop("demo", "--model-only", "demo-model").code == 0
    return shop


def _interrupt_after_first_record(
    shop: Shop, journal: Path, number: int, *, times: int = 1
) -> tuple[int, str]:
    process = subprocess.Popen(
        [str(AUTOTUNE), *RUN, "--journal", journal.name],
        cwd=shop.folder,
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs its tests in the background has SIGINT ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.01)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_resume_repeats_nothing(
    model_shop: Shop, number: signal.Signals
) -> None:
    journal = model_shop.folder / f"{number.name}.jsonl"
    code, err = _interrupt_after_first_record(model_shop, journal, number)
    assert code == 130
    assert "Traceback" not in err
    before = read_journal(journal)
    assert 1 <= len(before) < 4
    assert not _workers(model_shop)

    refused = model_shop(*RUN, "--journal", journal.name)
    assert refused.code == 1
    assert "--resume" in refused.err

    resumed = model_shop(*RUN, "--journal", journal.name, "--resume")
    assert resumed.code == 0, resumed.err
    after = read_journal(journal)
    assert after[: len(before)] == before
    assert [r.batch_size for r in after] == [8, 1, 2, 4]
    assert len({r.session_id for r in after}) == 1
    assert "in the journal already" in resumed.err
    assert not (model_shop.folder / "mlruns").exists()

    nothing = model_shop(*RUN, "--journal", journal.name, "--resume")
    assert nothing.code == 0
    assert read_journal(journal) == after


def test_a_second_ctrl_c_while_it_ends_leaves_nothing_behind_either(model_shop: Shop) -> None:
    journal = model_shop.folder / "twice.jsonl"
    code, err = _interrupt_after_first_record(model_shop, journal, signal.SIGINT, times=2)
    assert code == 130
    assert "Traceback" not in err
    assert read_journal(journal)
    deadline = time.monotonic() + 20
    while _workers(model_shop) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _workers(model_shop)


def test_json_holds_every_record(model_shop: Shop) -> None:
    ran = model_shop(
        *RUN[:6], "1", "--input-len", "32", "--output-len", "16", "--time-budget", "1", "--json"
    )
    assert ran.code == 0, ran.err
    (row,) = ran.json()
    assert row["batch_size"] == 1
    assert row["output_throughput"] > 0
    assert (model_shop.folder / "mlruns" / "mlflow.db").exists()


def _workers(shop: Shop) -> list[str]:
    """Return the command lines of engine workers that were started in the shop's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            folder = str((entry / "cwd").readlink())
        except OSError:
            continue
        if "autotune.worker" in command and folder == str(shop.folder):
            found.append(command)
    return found
