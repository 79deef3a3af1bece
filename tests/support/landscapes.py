"""A made-up landscape: the roofline's own shape, a level a GPU, and a little noise."""

import numpy as np

from autotune.schema.record import RunRecord
from recommender.features.roofline import CONSTANTS, roofline
from recommender.features.table import collect

MODELS = (
    "meta-llama/Llama-2-7b-hf",
    "meta-llama/Llama-3.1-8B",
    "mistralai/Mistral-7B-v0.1",
    "microsoft/phi-2",
)
LEVELS = {"A100-40GB": 0.9, "V100-32GB": 0.7, "H100-80GB": 1.1}


def synthetic_runs(
    seed=0, *, models=MODELS, engine="vllm", source="made-up", batches=(1, 8, 64, 256)
):
    """Return one completed run a (model, GPU, n_gpus, batch size)."""
    rng = np.random.default_rng(seed)
    runs = []
    for model in models:
        for gpu, level in LEVELS.items():
            for n_gpus in (1, 2):
                for batch in batches:
                    row = {
                        "source": source,
                        "status": "completed",
                        "engine": engine,
                        "model": model,
                        "gpu": gpu,
                        "n_gpus": n_gpus,
                        "batch_size": batch,
                        "input_len": 256,
                        "output_len": 64,
                        "dtype": "float16",
                    }
                    draft = RunRecord(**row, output_throughput=1.0)
                    line = roofline(collect([draft]), CONSTANTS).throughput[0]
                    noise = float(np.exp(rng.normal(0, 0.03)))
                    runs.append(RunRecord(**row, output_throughput=float(line * level * noise)))
    return runs
