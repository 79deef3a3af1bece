"""One engine start for all batch sizes against a start for each: configurations a minute.

Usage: scripts/benchmark_sessions.py [--engine vllm] [--model DIR_OR_NAME] [--batch-sizes 1:1024]
                                     [--restarts 1,32,512] [--input-len 200 --output-len 20]
                                     [--time-budget 2] [--primed]

Both ways run the same engine with the same measuring policy in one run of this script. The way with
restarts is timed on the batch sizes of --restarts, since its pace does not depend on how many there
are. Ends with one line: speedup=<ratio of configurations a minute> max_difference=<largest relative
difference in throughput between the two ways>
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autotune.demo_model import build_demo_model
from autotune.planning import resolve_host
from autotune.session import EngineSession
from autotune.spec import EngineConfig, MeasurePolicy, Workload, parse_counts


def run_session(
    config: EngineConfig,
    batch_sizes: Sequence[int],
    workload: Workload,
    policy: MeasurePolicy,
    log: Path,
) -> tuple[dict[int, float], float]:
    """Start once, measure every batch size; return tok/s by batch size, and the seconds it took."""
    begin = time.perf_counter()
    found = {}
    with EngineSession(config, log_path=log) as session:
        session.start(
            max_batch_size=max(batch_sizes),
            max_model_len=workload.input_len + workload.output_len,
        )
        for batch_size in batch_sizes:
            row: dict[str, Any] = session.measure(
                batch_size=batch_size, workload=workload, policy=policy
            )
            found[batch_size] = float(row["output_throughput"])
    seconds = time.perf_counter() - begin
    print(f"batch sizes {', '.join(map(str, found))}: {seconds:.1f} s", file=sys.stderr, flush=True)
    return found, seconds


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--engine", default="vllm", help="vllm or hf")
    parser.add_argument("--model", help="catalogue name or directory (default: the demo's model)")
    parser.add_argument("--batch-sizes", default="1:1024", type=parse_counts)
    parser.add_argument("--restarts", default="1,32,512", type=parse_counts)
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
        reused, reused_s = run_session(config, options.batch_sizes, workload, policy, log)
        fresh: dict[int, float] = {}
        fresh_s = 0.0
        for batch_size in options.restarts:
            found, seconds = run_session(config, [batch_size], workload, policy, log)
            fresh |= found
            fresh_s += seconds
    reused_pace, fresh_pace = 60 * len(reused) / reused_s, 60 * len(fresh) / fresh_s
    print(f"{options.engine} on {config.gpu}, {workload.input_len}/{workload.output_len} tokens")
    print("| batch size | one start (tok/s) | a start each (tok/s) |\n|---|---|---|")
    for batch_size, throughput in reused.items():
        own = fresh.get(batch_size)
        print(f"| {batch_size} | {throughput:.1f} | {'' if own is None else f'{own:.1f}'} |")
    print(f"configurations a minute: {reused_pace:.2f} and {fresh_pace:.2f}")
    both = set(fresh) & set(reused)
    difference = max((abs(reused[b] / fresh[b] - 1) for b in both), default=float("nan"))
    print(f"speedup={reused_pace / fresh_pace:.2f} max_difference={difference:.4f}")


if __name__ == "__main__":
    main()
