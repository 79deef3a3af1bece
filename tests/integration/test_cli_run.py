"""`autotune run` interrupted and resumed, from outside as a person does it."""

import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.engines.knobs import engine_version
from autotune.store.journal import read_journal
from autotune.store.tracking.store import Store
from tests.support.lightly import Bench, light_environment
from tests.support.workspace import AUTOTUNE, Workspace

needs_hf = pytest.mark.skipif(engine_version("hf") is None, reason="transformers is not installed")
REAL, LIGHTLY = "demo-model", "light-model"
STUDY = (
    *("run", "--model", LIGHTLY, "--engine", "hf", "--batch-sizes", "1:8"),
    *("--input-len", "32", "--output-len", "16", "--time-budget", "1"),
    "--exhaustive",
)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A folder with two models: one for the real engine, one for the light one."""
    bench = Bench(tmp_path_factory.mktemp("run")).prepare()
    assert Workspace(bench.folder).here("demo", "--model-only", REAL).code == 0
    return bench


def _interrupt_after_first_record(
    bench: Bench, journal: Path, number: int, *, times: int = 1
) -> tuple[int, str]:
    process = subprocess.Popen(
        [str(AUTOTUNE), *STUDY, "--journal", journal.name],
        cwd=bench.folder,
        env=light_environment(),
        stderr=subprocess.PIPE,
        text=True,
        # A shell that runs its tests in the background has SIGINT ignored, and children inherit it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    deadline = time.monotonic() + 300
    while not (journal.exists() and journal.read_bytes().count(b"\n")):
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    for _ in range(times):
        process.send_signal(number)
        time.sleep(0.01)
    _, err = process.communicate(timeout=300)
    return process.returncode, err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_cleanly_and_resume_repeats_nothing(
    bench: Bench, number: signal.Signals
) -> None:
    journal = bench.folder / f"{number.name}.jsonl"
    code, err = _interrupt_after_first_record(bench, journal, number)
    assert code == 130
    assert "Traceback" not in err
    before = read_journal(journal)
    assert 1 <= len(before) < 4
    assert not _workers(bench)

    refused = bench.here(*STUDY, "--journal", journal.name)
    assert refused.code == 1
    assert "--resume" in refused.err

    resumed = bench.here(*STUDY, "--journal", journal.name, "--resume")
    assert resumed.code == 0, resumed.err
    after = read_journal(journal)
    assert after[: len(before)] == before
    assert [r.batch_size for r in after] == [8, 1, 2, 4]
    assert len({r.session_id for r in after}) == 1
    assert "in the journal already" in resumed.err
    assert not (bench.folder / "mlruns").exists()

    nothing = bench.here(*STUDY, "--journal", journal.name, "--resume")
    assert nothing.code == 0
    assert read_journal(journal) == after


def test_a_second_ctrl_c_while_it_ends_leaves_nothing_behind_either(bench: Bench) -> None:
    journal = bench.folder / "twice.jsonl"
    code, err = _interrupt_after_first_record(bench, journal, signal.SIGINT, times=2)
    assert code == 130
    assert "Traceback" not in err
    assert read_journal(journal)
    deadline = time.monotonic() + 60
    while _workers(bench) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _workers(bench)


@needs_hf
def test_a_stream_of_code_prompts_says_so_in_its_record_and_in_json(
    bench: Bench, new_store: Callable[[Path], str]
) -> None:
    """The real engine counts what each request wanted; the store is the default one."""
    folder = bench.folder / "stream"
    new_store(folder)
    (folder / "demo-model").symlink_to(bench.folder / "demo-model")
    ran = Workspace(folder).here(
        *("run", "--model", "demo-model", "--engine", "hf", "--batch-sizes", "2", "--mode"),
        *("stream", "--dataset-name", "code_completion", "--output-len", "4", "--num-prompts", "4"),
        *("--time-budget", "1", "--max-ttft-ms", "60000", "--json"),
    )
    assert ran.code == 0, ran.err
    (row,) = ran.json()
    assert (row["mode"], row["input_len"], row["output_len"]) == ("stream", 190, 4)
    assert row["knobs"] == {"workload.dataset_name": "code_completion", "workload.num_prompts": 4}
    assert row["environment"]["mean_input_tokens"] == 190
    assert row["environment"]["slo"] == {"max_ttft_ms": 60000, "max_tpot_ms": None}
    assert row["request_goodput"] == pytest.approx(row["request_throughput"], rel=0.2)
    assert row["output_throughput"] > 0
    assert "batch 2 · 190/4 stream dataset_name=code_completion" in ran.err
    assert [r.batch_size for r in Store(Workspace(folder).uri).read()] == [2]


def test_a_run_that_hangs_is_timed_out_and_tried_once_more(bench: Bench) -> None:
    ran = bench.here(
        *("run", "--model", LIGHTLY, "--engine", "hf", "--batch-sizes", "2", "--input-len", "16"),
        *("--output-len", "16", "--stall-timeout", "0.2", "--journal", "hangs.jsonl", "--json"),
        LIGHT_ENGINE_FAULT="hangs",
    )
    assert ran.code == 1
    (row,) = ran.json()
    assert row["status"] == "timed_out"
    assert "no progress for 0.2 s" in row["notes"]
    assert ran.err.count("starting hf") == 2
    assert not _workers(bench)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--mode", "serving"), "has no server of its own"),
        (("--request-rate", "2"), "need mode=serving"),
        (("--num-prompts", "4"), "a closed batch has its batch size"),
        (("--mode", "streem"), "Did you mean stream"),
        (("--length-spread", "0.5"), "fixed lengths have no spread"),
        (("--dataset-path", "none.jsonl"), "cannot read the prompts"),
        (("--set", "torch_compil=true"), "Did you mean torch_compile"),
        (("--set", "continuous_batching=3"), "true or false"),
        (("--n-gpus", "2"), "n_gpus=2 is too many"),
    ],
)
def test_what_cannot_be_measured_is_refused_before_an_engine_starts(
    bench: Bench, options: tuple[str, ...], says: str
) -> None:
    ran = Workspace(bench.folder).here("run", "--model", REAL, "--engine", "hf", *options)
    assert ran.code == 2, ran.err
    assert says in ran.err
    assert "starting" not in ran.err


def _workers(bench: Bench) -> list[str]:
    """Return the command lines of engine workers that were started in the folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            folder = str((entry / "cwd").readlink())
        except OSError:
            continue
        if "autotune.runner.worker" in command and folder == str(bench.folder):
            found.append(command)
    return found
