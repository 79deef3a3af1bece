"""Candidates that tests are made from."""

from typing import Any

from recommender.recommendation.candidates import Candidate


def candidate(n_gpus: int, batch_size: int, throughput: float, **changes: Any) -> Candidate:
    """Return a predicted candidate with some fields changed."""
    values: dict[str, Any] = {
        "engine": "vllm",
        "n_gpus": n_gpus,
        "batch_size": batch_size,
        "output_throughput": throughput,
        "low": throughput / 1.5,
        "high": throughput * 1.5,
        "p_feasible": 1.0,
        "fits": True,
        "output_throughput_per_gpu": throughput / n_gpus,
        "ttft_ms": None,
        "tpot_ms": None,
        "memory_gb": 1.0,
        "status": "predicted",
        "command": "",
        "bottleneck": "weights",
        "confidence": "low",
    }
    return Candidate(**(values | changes))
