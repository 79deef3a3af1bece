"""`autotune run` interrupted and resumed, from outside as a person does it."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from autotune.store.journal import read_journal
from tests.integration.conftest import AUTOTUNE, Workspace

RUN = (
    *("run", "--model", "demo-model", "--engine", "hf", "--batch-sizes", "1:8"),
    *("--input-len", "32", "--output-len", "16", "--time-budget", "1"),
    "--exhaustive",
)


@pytest.fixture(scope="module")
def model_workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = Workspace(tmp_path_factory.mktemp("run"))
    assert workspace("demo", "--model-only", "demo-model").code == 0
    return workspace


def _interrupt_after_first_record(
    workspace: Workspace, journal: Path, number: int, *, times: int = 1
) -> tuple[int, str]:
    process = subprocess.Popen(
        [str(AUTOTUNE), *RUN, "--journal", journal.name],
        cwd=workspace.folder,
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
    model_workspace: Workspace, number: signal.Signals
) -> None:
    journal = model_workspace.folder / f"{number.name}.jsonl"
    code, err = _interrupt_after_first_record(model_workspace, journal, number)
    assert code == 130
    assert "Traceback" not in err
    before = read_journal(journal)
    assert 1 <= len(before) < 4
    assert not _workers(model_workspace)

    refused = model_workspace(*RUN, "--journal", journal.name)
    assert refused.code == 1
    assert "--resume" in refused.err

    resumed = model_workspace(*RUN, "--journal", journal.name, "--resume")
    assert resumed.code == 0, resumed.err
    after = read_journal(journal)
    assert after[: len(before)] == before
    assert [r.batch_size for r in after] == [8, 1, 2, 4]
    assert len({r.session_id for r in after}) == 1
    assert "in the journal already" in resumed.err
    assert not (model_workspace.folder / "mlruns").exists()

    nothing = model_workspace(*RUN, "--journal", journal.name, "--resume")
    assert nothing.code == 0
    assert read_journal(journal) == after


def test_a_second_ctrl_c_while_it_ends_leaves_nothing_behind_either(
    model_workspace: Workspace,
) -> None:
    journal = model_workspace.folder / "twice.jsonl"
    code, err = _interrupt_after_first_record(model_workspace, journal, signal.SIGINT, times=2)
    assert code == 130
    assert "Traceback" not in err
    assert read_journal(journal)
    deadline = time.monotonic() + 20
    while _workers(model_workspace) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _workers(model_workspace)


def test_json_holds_every_record(model_workspace: Workspace) -> None:
    ran = model_workspace(
        *RUN[:6], "1", "--input-len", "32", "--output-len", "16", "--time-budget", "1", "--json"
    )
    assert ran.code == 0, ran.err
    (row,) = ran.json()
    assert row["batch_size"] == 1
    assert row["output_throughput"] > 0
    assert (model_workspace.folder / "mlruns" / "mlflow.db").exists()


def test_a_stream_of_code_prompts_says_so_in_its_record(model_workspace: Workspace) -> None:
    ran = model_workspace(
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
    assert "batch 2 · 190/4 stream dataset_name=code_completion" in ran.err


def test_a_run_that_hangs_is_timed_out_and_tried_once_more(model_workspace: Workspace) -> None:
    ran = model_workspace(
        *("run", "--model", "demo-model", "--engine", "hf", "--batch-sizes", "1", "--input-len"),
        *("16", "--output-len", "1000", "--stall-timeout", "0.2", "--json"),
    )
    assert ran.code == 1
    (row,) = ran.json()
    assert row["status"] == "timed_out"
    assert "no progress for 0.2 s" in row["notes"]
    assert ran.err.count("starting hf") == 2
    assert not _workers(model_workspace)


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
    model_workspace: Workspace, options: tuple[str, ...], says: str
) -> None:
    ran = model_workspace("run", "--model", "demo-model", "--engine", "hf", *options)
    assert ran.code == 2, ran.err
    assert says in ran.err
    assert "starting" not in ran.err


def _workers(workspace: Workspace) -> list[str]:
    """Return the command lines of engine workers that were started in the workspace's folder."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            folder = str((entry / "cwd").readlink())
        except OSError:
            continue
        if "autotune.runner.worker" in command and folder == str(workspace.folder):
            found.append(command)
    return found
