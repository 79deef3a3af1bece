"""How dataset, training and advice grow with the runs in the store, and what that looks like.

Usage: scripts/benchmark_scale.py [--rows 10000,100000,1000000] [--train-rows 10000] [--plot FILE]

Runs are made up (a hundred models on ten GPUs, slow enough to be possible on all) and put into
the columnar cache beside a store, which is what advice and datasets are read from; logging them to
MLflow is measured by ``benchmark_store.py``. For each size: seconds to write the cache whole, to
log one more study (incremental), to read it into a dataset, and for ``recommend`` in a process of
its own, with that process's peak memory. ``--train-rows`` are the sizes that ``train``'s fit is
timed at. The last line is ``recommend_s= recommend_mb= rows=`` of the largest size up to 100,000.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names, find_model
from autotune.schema.record import RunRecord
from benchmark_recommend import measure

ASKED = "meta-llama/Llama-3.1-8B"
ROOT = Path(__file__).parents[1]
AUTOTUNE = str(Path(sys.executable).with_name("autotune"))
ONE_STUDY = 10
TARGET_ROWS = 100_000
# Everything is to fit and to be possible, so that it is learned from.
LARGEST_MODEL, SMALLEST_GPU_GB = 15e9, 75


def made_up(n: int) -> Iterator[RunRecord]:
    """Yield ``n`` different runs: every model, GPU, GPU count and batch size in turn."""
    small = [name for name in catalogue_names() if find_model(name).n_params < LARGEST_MODEL]
    models = [ASKED, *(name for name in small if name != ASKED)][:100]
    gpus = [gpu.name for gpu in load_gpus().values() if gpu.memory_gb > SMALLEST_GPU_GB][:10]
    for k in range(n):
        batch_size, n_gpus = 2 ** (k // 1000 % 10), 2 ** (k // 10_000 % 4)
        yield RunRecord(
            source="autotune",
            engine="vllm",
            engine_version="0.26.0",
            model=models[k % len(models)],
            gpu=gpus[k // 100 % len(gpus)],
            n_gpus=n_gpus,
            batch_size=batch_size,
            input_len=64 * (1 + k // 40_000 % 16),
            output_len=128,
            dtype="bfloat16",
            status="completed",
            output_throughput=2.0 * batch_size**0.8 * n_gpus**0.7 * (1 + k % 17 / 100),
            mean_ttft_ms=50.0 + k % 13,
            mean_tpot_ms=9.0 + k % 7,
            repeats=3,
            session_id=f"study-{k // 1000}",
            started_at=f"2026-01-01T00:00:00.{k % 1_000_000:06d}+00:00",
            environment={"python": "3.11", "measuring_tool": "autotune", "weights": "random"},
        )


def seconds(work: Callable[[], object]) -> float:
    """Return how long it took."""
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


WRITE = """
import json, sys
from pathlib import Path
sys.path.insert(0, "scripts")
from benchmark_scale import ONE_STUDY, made_up, seconds
from autotune.store.cache import RecordCache
n, cache = int(sys.argv[1]), RecordCache(Path(sys.argv[2]))
records = list(made_up(n + ONE_STUDY))
write_s = seconds(lambda: cache.replace(records[:n]))
one_study_s = seconds(lambda: cache.extend(records[n:]))
print(json.dumps({"rows": n, "write_s": write_s, "one_study_s": one_study_s}))
"""
DATASET = """
import sys
from pathlib import Path
from autotune.store.cache import RecordCache
from recommender.training.dataset import prepare
prepare(RecordCache(Path(sys.argv[1])).read() or [])
"""


def at_size(n: int, folder: Path) -> dict[str, Any]:
    """Measure everything but training with ``n`` runs in the store."""
    store = folder / str(n) / "mlruns"
    # In a process of its own: one that has held much memory passes its peak on to its children.
    command = [sys.executable, "-c", WRITE, str(n), str(store)]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    row: dict[str, Any] = json.loads(done.stdout)
    (store / "mlflow.db").touch()
    row["dataset_s"], row["dataset_mb"] = measure(
        [sys.executable, "-c", DATASET, str(store)], str(store)
    )
    asked = [
        "recommend",
        "--model",
        ASKED,
        "--target-gpu",
        "H100",
        "--source-gpu",
        "A100",
        "--json",
    ]
    command = [AUTOTUNE, *asked, "--tracking-uri", f"sqlite:///{store}/mlflow.db"]
    row["recommend_s"], row["recommend_mb"] = min(measure(command, str(store)) for _ in range(3))
    row["cache_mb"] = sum(p.stat().st_size for p in (store / "cache").rglob("*")) / 1e6
    return row


TRAIN = """
import sys
sys.path.insert(0, "scripts")
from benchmark_scale import made_up
from recommender.surrogate.predictor import PRETRAINED
from recommender.training.refine import refine
refine(list(made_up(int(sys.argv[1]))), PRETRAINED)
"""


def train_at(n: int) -> dict[str, Any]:
    """Measure ``train``'s fit, making the runs up included."""
    made_s = seconds(lambda: sum(1 for _ in made_up(n)))
    wall, peak = measure([sys.executable, "-c", TRAIN, str(n)], str(ROOT))
    return {"rows": n, "train_s": wall - made_s, "train_mb": peak}


def plot(rows: Sequence[dict[str, Any]], trained: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw seconds and megabytes over rows, both axes logarithmic."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.8), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    times, memory = figure.subplots(1, 2)
    for axes, unit, limit in ((times, "s", 2.0), (memory, "mb", 2000.0)):
        for name, marker in (("recommend", "o"), ("dataset", "s")):
            axes.plot(
                [r["rows"] for r in rows],
                [r[f"{name}_{unit}"] for r in rows],
                f"{marker}-",
                label=name,
            )
        if trained:
            axes.plot(
                [r["rows"] for r in trained],
                [r[f"train_{unit}"] for r in trained],
                "^-",
                label="train",
            )
        axes.axhline(limit, color="0.5", linestyle=":", label="limit for recommend at 100,000")
        axes.set(xscale="log", yscale="log", xlabel="runs in the store")
        axes.legend(fontsize=7)
    times.set_ylabel("seconds, whole process")
    memory.set_ylabel("peak MB of the process")
    figure.savefig(path)


def _sizes(text: str) -> list[int]:
    return [int(part) for part in text.split(",") if part]


def main() -> None:
    """Measure, print a line a size, draw."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=_sizes, default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--train-rows", type=_sizes, default=[10_000])
    parser.add_argument("--plot", type=Path)
    chosen = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in chosen.rows:
            rows.append(at_size(n, Path(folder)))
            print(json.dumps({k: round(v, 3) for k, v in rows[-1].items()}), flush=True)
            subprocess.run(["rm", "-r", str(Path(folder) / str(n))], check=True)
    trained = []
    for n in chosen.train_rows:
        trained.append(train_at(n))
        print(json.dumps({k: round(v, 3) for k, v in trained[-1].items()}), flush=True)
    if chosen.plot:
        plot(rows, trained, chosen.plot)
    told = max((r for r in rows if r["rows"] <= TARGET_ROWS), key=lambda r: r["rows"])
    print(
        f"recommend_s={told['recommend_s']:.2f} recommend_mb={told['recommend_mb']:.0f} "
        f"rows={told['rows']}"
    )


if __name__ == "__main__":
    main()
