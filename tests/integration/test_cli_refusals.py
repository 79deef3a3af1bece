"""Bad input ends with one sentence, the right exit code and nothing written."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from autotune.engines.knobs import engine_version
from autotune.schema.codec import to_json_line
from tests.integration.conftest import Ran, Workspace
from tests.support.records import record
from tests.support.workspace import on_path

Write = Callable[[str, str], Path]


def assert_refused(ran: Ran, code: int, *words: str) -> None:
    assert ran.code == code, ran.err
    assert "Traceback" not in ran.err
    assert len([line for line in ran.err.splitlines() if line.startswith("Error")]) == 1
    for word in words:
        assert word in ran.err
    assert ran.out == ""


ASK = ["recommend", "--model", "Llama-3.1-8B", "--target-gpu", "H100"]
USAGE = [
    ([*ASK, "--objective", "speed"], ["speed", "goodput"]),
    ([*ASK, "--objective", "cost"], ["H100-80GB", "--price H100="]),
    ([*ASK, "--objective", "cost", "--price", "A100=1.8"], ["H100-80GB", "A100-80GB"]),
    ([*ASK, "--price", "H10O=2.9"], ["H10O", "H100"]),
    ([*ASK, "--price", "H100=-2.9"], ["H100=-2.9", "above zero"]),
    ([*ASK, "--price", "2.9"], ["2.9", "H100=2.9"]),
    ([*ASK, "--price-file", "no-such-prices.yaml"], ["no-such-prices.yaml"]),
    ([*ASK, "--objective", "goodput"], ["--max-ttft-ms", "--max-tpot-ms"]),
    ([*ASK, "--max-tpot-ms", "-1"], ["max_tpot_ms=-1"]),
    (["explain", "0123456789ab"], ["0123456789ab", "autotune recommend"]),
    (["recommend", "--model", "lama-3.1-8b", "--target-gpu", "H100"], ["lama-3.1-8b", "Llama-3.1"]),
    (["recommend", "--model", "Llama-3.1-8B", "--target-gpu", "H10O"], ["H10O", "H100"]),
    (
        ["recommend", "--model", "Llama-3.1-8B", "--target-gpu", "H100", "--engine", "vlm"],
        ["vlm", "vllm"],
    ),
    (
        ["recommend", "--model", "Llama-3.1-8B", "--target-gpu", "H100", "--max-gpus", "0"],
        ["max_gpus"],
    ),
    (
        ["recommend", "--model", "Llama-2-7b", "--target-gpu", "H100", "--input-len", "9000"],
        ["9128", "4096"],
    ),
    (["run", "--model", "Llama-3.1-8B", "--batch-sizes", "0"], ["0", "at least 1"]),
    (["run", "--model", "Llama-3.1-8B", "--batch-sizes", "8:1"], ["8:1"]),
    (["run", "--model", "Llama-3.1-8B", "--engine", "tensorflow"], ["tensorflow", "vllm"]),
    (["run", "--model", "Llama-3.1-8B", "--n-gpus", "3"], ["32 attention heads", "divisor"]),
    (["run", "--model", "Llama-3.1-8B", "--gpu", "H100"], ["this host has", "H100-80GB"]),
    (["run", "--model", "Llama-3.1-8B", "--engine", "hf", "--n-gpus", "2"], ["n_gpus=2"]),
    (
        ["run", "--model", "Llama-3.1-8B", "--engine", "hf", "--set", "atn_implementation=eager"],
        ["atn_implementation", "attn_implementation"],
    ),
    (["run", "--model", "Llama-3.1-8B", "--set", "max_num_seqs=3"], ["max_num_seqs", "--batch"]),
    (["run"], ["--model"]),
    (["run", "no-such-study.yaml"], ["no-such-study.yaml"]),
    (["import", "no-such-file.jsonl"], ["no-such-file.jsonl"]),
    (["confirm", "0123456789ab"], ["0123456789ab", "autotune recommend"]),
    (["predict", "no-such-file.jsonl"], ["no-such-file.jsonl"]),
    (["recomend"], ["recomend", "recommend"]),
    (["evaluate", "--protocol", "cheating"], ["cheating"]),
]


@pytest.mark.parametrize(("arguments", "words"), USAGE, ids=[" ".join(a) for a, _ in USAGE])
def test_wrong_usage_is_exit_2(
    workspace: Workspace, arguments: list[str], words: list[str]
) -> None:
    assert_refused(workspace.here(*arguments), 2, *words)
    assert not (workspace.folder / "mlruns").exists()


@pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed")
def test_an_unknown_vllm_knob_is_refused_by_the_installed_vllm(workspace: Workspace) -> None:
    ran = workspace.here("run", "--model", "Llama-3.1-8B", "--set", "enforce_eagr=true")
    assert_refused(ran, 2, "enforce_eagr", "enforce_eager")
    assert not (workspace.folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("model: Llama-3.1-8B\nbatch_size: [1]\n", ["batch_size", "batch_sizes"]),
        ("model: Llama-3.1-8B\nworkloads: [{input_length: 3}]\n", ["input_length", "input_len"]),
        ("- a list\n", ["mapping"]),
        ("model: [unclosed\n", ["study.yaml"]),
        ("engines: vllm\n", ["model"]),
    ],
)
def test_a_bad_study_file_is_exit_2(
    workspace: Workspace, write: Write, text: str, words: list[str]
) -> None:
    assert_refused(workspace.here("run", write("study.yaml", text)), 2, *words)
    assert not (workspace.folder / "mlruns").exists()


def test_the_process_has_the_exit_code_and_the_sentence_too(workspace: Workspace) -> None:
    arguments, words = USAGE[0]
    assert_refused(workspace(*arguments), 2, *words)


def test_a_target_on_which_nothing_fits_is_exit_1(workspace: Workspace) -> None:
    ran = workspace("recommend", "--model", "Llama-3.1-405B", "--target-gpu", "T4")
    assert_refused(ran, 1, "does not fit", "--max-gpus")


def test_limits_that_nothing_meets_are_exit_1_and_name_the_nearest(workspace: Workspace) -> None:
    assert_refused(
        workspace.here(*ASK, "--max-ttft-ms", "5"), 1, "TTFT", "the nearest", "over 5 ms"
    )
    assert not (workspace.folder / "mlruns").exists()


@pytest.mark.parametrize(
    ("name", "text", "code", "words"),
    [
        ("empty.jsonl", "", 2, ["empty"]),
        ("torn.jsonl", to_json_line(record())[:40], 2, ["no good row", "line 1"]),
        ("header.csv", "engine,model,gpu,throughput\nvllm,m,H200,3\n", 2, ["throughput"]),
        ("prose.txt", "these are not runs\n", 2, ["looked for"]),
    ],
)
def test_an_import_without_a_good_row_writes_nothing(
    workspace: Workspace, write: Write, name: str, text: str, code: int, words: list[str]
) -> None:
    ran = workspace.here("import", write(name, text))
    assert_refused(ran, code, name, *words)
    assert not (workspace.folder / "mlruns").exists()


def test_good_rows_of_a_bad_file_go_in_and_bad_rows_are_set_aside(
    workspace: Workspace, write: Write, new_store: Callable[[Path], str]
) -> None:
    new_store(workspace.folder)
    rows = [record(), record(batch_size=16)]
    lines = [to_json_line(row) for row in rows]
    negative = json.loads(lines[0]) | {"output_throughput": -5.0, "batch_size": 64}
    del negative["run_key"]
    path = write("mixed.jsonl", "\n".join([*lines, json.dumps(negative), lines[0][:30]]))
    first = workspace.here("import", path)
    assert first.code == 1
    assert "line 3: output_throughput=-5.0" in first.out
    assert "2 runs logged" in first.out
    rejected = (workspace.folder / "mixed.jsonl.rejected.jsonl").read_text().splitlines()
    assert [json.loads(line)["line"] for line in rejected] == [3, 4]
    assert "0 runs logged, 2 known" in workspace.here("import", path).out


def test_a_store_that_cannot_be_opened_is_exit_1_and_keeps_the_recommendation(
    workspace: Workspace,
) -> None:
    (workspace.folder / "mlruns").mkdir()
    (workspace.folder / "mlruns" / "mlflow.db").write_text("not a database" * 100)
    ran = workspace.here("train")
    assert_refused(ran, 1, "mlflow.db")


def test_vllm_not_installed_is_exit_1_and_says_what_to_install(workspace: Workspace) -> None:
    # A finder that hides vLLM, put in front by Python's own start-up hook.
    hide = workspace.folder / "hide"
    hide.mkdir()
    (hide / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "found = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'vllm' else found(name, *a)\n"
    )
    ran = workspace("run", "--model", "Llama-3.1-8B", "--engine", "vllm", PYTHONPATH=on_path(hide))
    assert_refused(ran, 1, "vllm", "install")
    assert not (workspace.folder / "mlruns").exists()


def test_of_several_targets_one_unknown_is_refused_before_any_is_answered(
    workspace: Workspace,
) -> None:
    asked = ("recommend", "--model", "Llama-3.1-8B", "--target-gpu")
    ran = workspace.here(*asked, "H100,H20O", "--json")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown GPU 'H20O'. Did you mean H20" in ran.err
    assert not (workspace.folder / "mlruns").exists()
    ran = workspace.here(*asked, "H100,H200", "--confirm", 1)
    assert (ran.code, ran.out) == (2, "")
    assert "--confirm runs on one target" in ran.err


def test_of_several_targets_those_that_fit_are_answered(workspace: Workspace) -> None:
    asked = ("recommend", "--model", "meta-llama/Llama-3.1-70B", "--json", "--target-gpu")
    made = workspace.here(*asked, "T4,H100,h100,H200").json()
    assert [one["target_gpu"] for one in made["targets"]] == ["H100-80GB", "H200", "T4"]
    assert "does not fit on 8 x T4" in made["targets"][-1]["error"]
    assert made["best_target"] == "H200"
    told = workspace.here("explain", made["targets"][0]["recommendation_id"], "--top", 1)
    assert told.code == 0, told.err
    ran = workspace.here(*asked, "T4,L4", "--max-gpus", 1)
    assert ran.code == 1
    assert "does not fit on 1 x T4" in ran.err
    assert "does not fit on 1 x L4" in ran.err
