"""`autotune evaluate` on a file of runs."""

import json
from io import StringIO
from pathlib import Path

from rich.console import Console

from autotune.schema.codec import to_json_line
from recommender.commands.evaluate import evaluation_table
from tests.integration.conftest import Workspace
from tests.support.records import record


def landscapes(path: Path) -> Path:
    """Write two models on two GPUs, and a row that cannot be read."""
    lines = [
        to_json_line(
            record(
                model=model,
                gpu=gpu,
                batch_size=2**k,
                output_throughput=speed * 1.7**k / (1 + 0.02 * 2**k),
                started_at=f"2026-01-01T00:00:{k:02d}+00:00",
            )
        )
        for model, gpu, speed in (
            ("meta-llama/Llama-3.1-8B", "A100-80GB", 90.0),
            ("meta-llama/Llama-3.1-8B", "H100-80GB", 150.0),
            ("mistralai/Mistral-7B-v0.1", "A100-80GB", 100.0),
            ("mistralai/Mistral-7B-v0.1", "H100-80GB", 165.0),
        )
        for k in range(8)
    ]
    path.write_text("\n".join([*lines, '{"engine": "vllm"}']) + "\n", encoding="utf-8")
    return path


def test_migration_has_rows_for_ours_and_the_baselines_and_is_deterministic(
    workspace: Workspace,
) -> None:
    data = landscapes(workspace.folder / "runs.jsonl")
    arguments = ("evaluate", "--protocol", "migration", "--data", data, "--engine", "vllm")
    first = workspace.here(*arguments, "--json")
    assert first.code == 0, first.err
    assert "1 rows not read" in first.err
    rows = first.json()
    assert {row["method"] for row in rows} >= {"ours", "keep", "largest"}
    assert {row["runs"] for row in rows if row["method"] == "ours"} == {0, 1, 3, 5}
    assert {(row["source_gpu"], row["target_gpu"]) for row in rows} == {
        ("A100-80GB", "H100-80GB"),
        ("H100-80GB", "A100-80GB"),
    }
    for row in rows:
        assert 0 <= row["regret_mean"] <= row["regret_max"] <= 1
    # Another process has other hashes and has computed nothing before.
    assert workspace(*arguments, "--json").out == first.out
    for width in (60, 80, 120, 200):
        console = Console(width=width, file=StringIO(), record=True)
        console.print(evaluation_table(rows))
        text = console.export_text()
        assert "…" not in text
        assert text.count("ours") == sum(row["method"] == "ours" for row in rows)
    assert not (workspace.folder / "mlruns").exists()
    assert json.dumps(rows, allow_nan=False)
