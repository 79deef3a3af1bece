"""How long the store takes, beside MLflow used plainly: runs in, and back out as a dataset.

Usage: scripts/benchmark_store.py [--rows 16000] [--sample 300]

Ours: ``Store.log`` into a fresh sqlite store (the cache beside it included), then the cache into
the recommender's dataset. Plain: ``mlflow.start_run`` with ``log_params`` and ``log_metrics`` for a
sample of the rows in another fresh store, scaled to all, and ``mlflow.search_runs`` over our store.
A ratio is our time over the plain one. The last line is
``import_s= read_s= import_ratio= read_ratio=``.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from autotune.schema.record import RunRecord
from autotune.store.cache import RecordCache
from autotune.store.tracking.layout import metrics_of, params_of
from autotune.store.tracking.store import EXPERIMENT, Store
from recommender.training.dataset import prepare

MODELS = ("meta-llama/Llama-3.1-8B", "mistralai/Mistral-7B-v0.1", "google/gemma-2b")
GPUS = ("A100-40GB", "V100-32GB", "H100-80GB", "H200")


def make_records(n: int) -> list[RunRecord]:
    """Return ``n`` different runs of a few models and GPUs, throughputs made up."""
    return [
        RunRecord(
            source="benchmark",
            engine=("vllm", "hf")[k % 2],
            engine_version="0.26.0",
            model=MODELS[k // 2 % len(MODELS)],
            gpu=GPUS[k // 6 % len(GPUS)],
            n_gpus=2 ** (k // 24 % 4),
            batch_size=1 + k // 96,
            input_len=512,
            output_len=128,
            dtype="bfloat16",
            status="completed",
            output_throughput=10.0 + k % 977 / 7,
            mean_ttft_ms=50.0 + k % 13,
            mean_tpot_ms=9.0 + k % 7,
            repeats=3,
            environment={"python": "3.11", "measuring_tool": "benchmark"},
        )
        for k in range(n)
    ]


def seconds(work: Callable[[], object]) -> float:
    """Return how long it took."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def log_plainly(uri: str, records: Sequence[RunRecord]) -> None:
    """Log the records as MLflow's own guide would."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.set_experiment("plain")
    for record in records:
        with mlflow.start_run():
            mlflow.log_params(params_of(record))
            mlflow.log_metrics(metrics_of(record))


def read_plainly(uri: str) -> None:
    """Read all runs of our experiment as a table."""
    import mlflow

    mlflow.set_tracking_uri(uri)
    mlflow.search_runs(experiment_names=[EXPERIMENT], max_results=1_000_000)


def read_dataset(store: Store) -> None:
    """Read the store's runs through its cache into what the surrogate learns from."""
    prepare(RecordCache(store.directory).read() or store.read())


def main() -> None:
    """Time both ways and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=16_000)
    parser.add_argument("--sample", type=int, default=300)
    chosen = parser.parse_args()
    records = make_records(chosen.rows)
    with tempfile.TemporaryDirectory() as folder:
        uri = f"sqlite:///{Path(folder).resolve()}/ours/mlflow.db"
        store = Store(uri)
        import_s = seconds(lambda: store.log(records))
        print(
            f"{chosen.rows} runs in: {import_s:.1f} s, {import_s / len(records) * 1e3:.1f} ms each"
        )
        prepare(records[:1])
        read_s = seconds(lambda: read_dataset(store))
        print(f"{chosen.rows} runs out, warm: {read_s:.2f} s")
        os.environ.pop("MLFLOW_DISABLE_TELEMETRY", None)
        sample = records[: chosen.sample]
        other = f"sqlite:///{Path(folder).resolve()}/plain.db"
        log_plainly(other, sample[:1])
        plain_import_s = seconds(lambda: log_plainly(other, sample)) / len(sample) * len(records)
        print(f"plain in: {plain_import_s:.1f} s (from {len(sample)} runs, scaled)")
        plain_read_s = seconds(lambda: read_plainly(uri))
        print(f"plain out: {plain_read_s:.1f} s (mlflow.search_runs, all)")
    print(
        f"import_s={import_s:.2f} read_s={read_s:.3f} "
        f"import_ratio={import_s / plain_import_s:.3f} read_ratio={read_s / plain_read_s:.4f}"
    )


if __name__ == "__main__":
    main()
