"""Cold `autotune recommend --json`: wall seconds and peak memory of the whole process.

And how many times quicker configurations are predicted together than one by one, in this process.

Usage: scripts/benchmark_recommend.py [--runs N] [--model NAME] [--tracking-uri URI]
Ends with one line: cold_s=<median> peak_mb=<largest> ratio=<over a bare interpreter's start>
together=<times quicker than one by one>
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from recommender.recommendation.candidates import configuration_of
from recommender.recommendation.query import Query
from recommender.surrogate.predictor import PRETRAINED, Predictor

COMMAND = ["recommend", "--target-gpu", "H100", "--source-gpu", "A100", "--json"]


def measure(command: list[str], directory: str) -> tuple[float, float]:
    """Return wall seconds and peak resident MB (10**6 bytes) of one process."""
    begin = time.perf_counter()
    process = subprocess.Popen(command, cwd=directory, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    if status:
        raise SystemExit(f"{' '.join(command)} failed with wait status {status}")
    return wall, usage.ru_maxrss * 1024 / 1e6


def times_quicker_together(model: str, n: int = 200) -> float:
    """Return the seconds of n predictions one by one over those of all n together."""
    predictor = Predictor.load(PRETRAINED)
    query = Query(model=model, target_gpu="H100")
    asked = [configuration_of(query, "H100-80GB", "vllm", 1, 1 + k) for k in range(n)]
    predictor.predict(asked)
    begin = time.perf_counter()
    predictor.predict(asked)
    middle = time.perf_counter()
    for configuration in asked:
        predictor.predict([configuration])
    return (time.perf_counter() - middle) / (middle - begin)


def main() -> None:
    """Measure a few cold processes in a fresh directory."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=7, help="processes to time")
    parser.add_argument("--model", default="meta-llama/Llama-3.1-8B", help="model to ask about")
    parser.add_argument("--tracking-uri", help="a store with own runs (default: none)")
    options = parser.parse_args()
    asked = [*COMMAND, "--model", options.model]
    if options.tracking_uri:
        asked += ["--tracking-uri", options.tracking_uri]
    autotune = str(Path(sys.executable).with_name("autotune"))
    with tempfile.TemporaryDirectory() as directory:
        bare = [measure([sys.executable, "-c", "pass"], directory)[0] for _ in range(options.runs)]
        cold = [measure([autotune, *asked], directory) for _ in range(options.runs)]
    walls, peaks = zip(*cold, strict=True)
    for wall, peak in cold:
        print(f"{wall:.3f} s  {peak:.0f} MB")
    median = statistics.median(walls)
    ratio = median / statistics.median(bare)
    together = times_quicker_together(options.model)
    print(f"cold_s={median:.3f} peak_mb={max(peaks):.0f} ratio={ratio:.1f} together={together:.0f}")


if __name__ == "__main__":
    main()
