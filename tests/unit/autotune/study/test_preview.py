"""What a study would measure, shown without starting anything."""

import dataclasses
import json
from io import StringIO

import pytest
from click.testing import CliRunner
from rich.console import Console

from autotune.cli import main
from autotune.schema.loading import study_from_dict, study_from_options
from autotune.schema.record import RunRecord
from autotune.store.journal import open_journal
from autotune.study.planning import plan_anywhere
from autotune.study.preview import memory_of, preview
from tests.support import ROOT

CAMPAIGNS = ROOT / "scripts" / "campaigns"
MODEL = "codellama/CodeLlama-34b-hf"


def _spec(**other):
    return study_from_dict(
        {"model": MODEL, "engines": "hf", "gpu": "A100-80GB", "batch_sizes": "1:256",
         "exhaustive": True, "dtype": "bfloat16", **other}
    )  # fmt: skip


def _journal(path, items, **fields):
    with open_journal(path, resume=False) as journal:
        for item in items:
            values = dataclasses.asdict(item.configuration)
            journal.append(RunRecord(source="autotune", status="completed", **values, **fields))


def test_all_is_left_on_a_gpu_that_is_not_here():
    shown = preview(_spec(n_gpus=[1, 2]))
    assert len(shown.planned) == len(shown.left) == 18
    assert shown.summary == (
        "18 configurations, 18 left to measure in 2 engine starts; nothing was started"
    )


def test_what_the_journal_holds_is_not_left(tmp_path):
    path = tmp_path / "study.jsonl"
    _journal(path, plan_anywhere(_spec())[:4], output_throughput=1.0)
    before = path.read_bytes()
    shown = preview(_spec(), path)
    assert [item.batch_size for item in shown.left] == [16, 32, 64, 128, 256]
    assert "1 engine start;" in shown.summary
    assert path.read_bytes() == before


def test_a_journal_to_come_leaves_all(tmp_path):
    assert len(preview(_spec(), tmp_path / "none.jsonl").left) == 9


def last_cells(shown):
    """Return what the last column of the printed table says, row by row."""
    out = StringIO()
    Console(file=out, width=300).print(shown.table)
    rows = [line for line in out.getvalue().splitlines() if line.startswith("│")]
    return [line.split("│")[-2].strip() for line in rows]


def test_batches_beyond_memory_are_told():
    """34 billion parameters in 16 bits are 63 GiB of the A100's 80."""
    shown = preview(_spec())
    fits = [item.batch_size for item in shown.planned if memory_of(item).fits]
    verdict = last_cells(shown)[0]
    assert 1 <= max(fits) < 256
    assert verdict == f"fits up to batch {max(fits)}"


def test_a_model_that_cannot_be_held_is_told():
    shown = preview(_spec(gpu="V100-16GB"))
    assert last_cells(shown)[0].startswith("does not fit: 6")


def test_replicas_have_their_own_share_of_the_batch():
    knobs = {"vllm.data_parallel_size": 2}
    load = {"mode": "serving", "input_len": 200, "output_len": 20}
    shared = _spec(engines="vllm", n_gpus=4, workloads=[load], knobs=knobs)
    alone = _spec(engines="vllm", n_gpus=2, workloads=[load])
    (last,) = [item for item in plan_anywhere(shared) if item.batch_size == 256]
    (half,) = [item for item in plan_anywhere(alone) if item.batch_size == 128]
    assert memory_of(last) == memory_of(half)


def test_an_unknown_format_has_no_size():
    (item, *_) = plan_anywhere(_spec(engines="vllm", quantization="compressed-tensors"))
    assert memory_of(item) is None
    shown = preview(_spec(engines="vllm", quantization="compressed-tensors"))
    assert last_cells(shown) == ["unknown: quantization compressed-tensors"]


def test_the_command_starts_nothing(tmp_path):
    asked = ["run", "--model", MODEL, "--engine", "hf", "--gpu", "H200", "--n-gpus", "8"]
    journal = tmp_path / "study.jsonl"
    asked += ["--batch-sizes", "1,2", "--journal", str(journal), "--dry-run"]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0, told.output
    assert "hf on 8 x H200" in told.output
    assert "2 configurations, 2 left" in told.output
    rows = json.loads(CliRunner().invoke(main, [*asked, "--json"]).output)
    assert [(row["n_gpus"], row["batch_size"], row["is_left"]) for row in rows] == [
        (8, 1, True),
        (8, 2, True),
    ]
    assert not journal.exists()


def test_no_fleet_is_asked():
    told = CliRunner().invoke(main, ["run", "--model", MODEL, "--fleet", "local", "--dry-run"])
    assert told.exit_code == 2
    assert "leave --fleet out" in told.output


@pytest.mark.parametrize(
    "path", sorted(CAMPAIGNS.glob("**/*.yaml")), ids=lambda p: "/".join(p.parts[-2:])
)
def test_every_campaign_can_be_run(path):
    spec = study_from_options(path, {})
    fitting = [item for item in plan_anywhere(dataclasses.replace(spec, gpu="H200"))
               if memory_of(item).fits]  # fmt: skip
    assert bool(fitting) == (path.stem != "no-room")  # a study of failures
