"""Records that tests are made from."""

from typing import Any

from autotune.schema.record import RunRecord


def record(**changes: Any) -> RunRecord:
    """Return a completed run with some fields changed."""
    values: dict[str, Any] = {
        "source": "test",
        "engine": "vllm",
        "engine_version": "0.26.0",
        "model": "meta-llama/Llama-3.1-8B",
        "gpu": "H200",
        "n_gpus": 1,
        "batch_size": 8,
        "input_len": 512,
        "output_len": 128,
        "dtype": "auto",
        "status": "completed",
        "output_throughput": 1376.5,
        "mean_ttft_ms": 61.25,
        "mean_tpot_ms": 5.5,
        "repeats": 3,
        "session_id": "20260101-000000-abcdef",
        "started_at": "2026-01-01T00:00:00.000000+00:00",
        "environment": {"python": "3.11.7", "weights": "random"},
    }
    return RunRecord(**(values | changes))
