"""One engine start for all batch sizes against a start for each: configurations a minute.

Usage: scripts/benchmark_sessions.py [--engine vllm] [--model DIR_OR_NAME] [--batch-sizes 1:1024]
                                     [--restarts 32,128,512] [--input-len 200 --output-len 20]
                                     [--time-budget 2] [--primed]

Both ways run the same engine with the same measuring policy in one run of this script. The way with
restarts is timed on the batch sizes of --restarts, since its pace does not depend on how many there
are. Whether the two agree is measured at these sizes too, after the clock has stopped and until the
95 % interval is within half a percent or 8 s have passed. Ends with one line: speedup=<ratio of
configurations a minute> max_difference=<largest relative difference in throughput>
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autotune.engines.demo_model import build_demo_model
from autotune.runner.session import EngineSession
from autotune.schema.engine_config import EngineConfig
from autotune.schema.validation import parse_counts
from autotune.schema.workload import MeasurePolicy, Workload
from autotune.study.planning import resolve_host

PRECISE = MeasurePolicy(min_repeats=5, max_repeats=200, target_ci95=0.005, time_budget_s=8.0)


@dataclass(frozen=True)
class Timed:
    """Tok/s by batch size, the seconds they took with the start, and the precise tok/s."""

    throughput: dict[int, float]
    seconds: float
    precise: dict[int, float]


def run_session(
    config: EngineConfig,
    batch_sizes: Sequence[int],
    workload: Workload,
    policy: MeasurePolicy,
    log: Path,
    compared: Sequence[int] = (),
) -> Timed:
    """Start once and measure every batch size, then ``compared`` again and more precisely."""
    begin = time.perf_counter()
    with EngineSession(config, log_path=log) as session:
        session.start(max_batch_size=max(batch_sizes), max_model_len=workload.max_len)

        def measure(batch_size: int, policy: MeasurePolicy) -> float:
            row = session.measure(batch_size=batch_size, workload=workload, policy=policy)
            return float(row["output_throughput"])

        found = {batch_size: measure(batch_size, policy) for batch_size in batch_sizes}
        seconds = time.perf_counter() - begin
        sizes = ", ".join(map(str, found))
        print(f"batch sizes {sizes}: {seconds:.1f} s", file=sys.stderr, flush=True)
        return Timed(found, seconds, {size: measure(size, PRECISE) for size in compared})


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", default="vllm", help="vllm or hf")
    parser.add_argument("--model", help="catalogue name or directory (default: the demo's model)")
    parser.add_argument("--batch-sizes", default="1:1024", type=parse_counts)
    parser.add_argument("--restarts", default="32,128,512", type=parse_counts)
    parser.add_argument("--input-len", type=int, default=200)
    parser.add_argument("--output-len", type=int, default=20)
    parser.add_argument("--time-budget", type=float, default=2.0, help="seconds of repeats each")
    parser.add_argument(
        "--primed", action="store_true", help="the engine's kernels are compiled and cached already"
    )
    return parser.parse_args()


def main() -> None:
    """Measure both ways and compare."""
    options = arguments()
    workload = Workload(input_len=options.input_len, output_len=options.output_len)
    policy = MeasurePolicy(time_budget_s=options.time_budget)
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(build_demo_model(Path(folder) / "model"))
        config = EngineConfig(engine=options.engine, model=model, gpu=resolve_host(None, 1))
        log = Path(folder) / "engine.log"
        # Kernels compiled at the first start of all are cached for both ways alike.
        if not options.primed:
            run_session(config, [1], workload, policy, log)
        sizes, compared = options.batch_sizes, options.restarts
        reused = run_session(config, sizes, workload, policy, log, compared)
        fresh = [run_session(config, [b], workload, policy, log, [b]) for b in compared]
    report(f"{options.engine} on {config.gpu}", workload, reused, fresh)


def report(where: str, workload: Workload, reused: Timed, fresh: Sequence[Timed]) -> None:
    """Print both ways side by side."""
    own = {size: tok_s for timed in fresh for size, tok_s in timed.precise.items()}
    print(f"{where}, {workload.input_len}/{workload.output_len} tokens")
    print("| batch size | one start (tok/s) | a start each (tok/s) |\n|---|---|---|")
    for size, throughput in reused.throughput.items():
        cell = f"{own[size]:.1f}" if size in own else ""
        print(f"| {size} | {reused.precise.get(size, throughput):.1f} | {cell} |")
    reused_pace = 60 * len(reused.throughput) / reused.seconds
    fresh_pace = 60 * len(fresh) / sum(timed.seconds for timed in fresh)
    print(f"configurations a minute: {reused_pace:.2f} and {fresh_pace:.2f}")
    difference = max(abs(reused.precise[size] / own[size] - 1) for size in own)
    print(f"speedup={reused_pace / fresh_pace:.2f} max_difference={difference:.4f}")


if __name__ == "__main__":
    main()
