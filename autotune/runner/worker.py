"""The process that holds the engine. Reads requests as JSON lines from standard input and writes
events as JSON lines to the descriptor named by ``AUTOTUNE_EVENTS_FD``; standard output and error
belong to the engine and go to the session's log.

Requests: ``{"op": "start", "config", "max_batch_size", "max_model_len"}``, then any number of
``{"op": "measure", "batch_size", "workload", "policy", "slo", "seed"}``; end of input ends the
worker.
Events: ``started``, ``pass`` (one a finished pass), ``measured``, ``failed``.
"""

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from typing import Any

from autotune.engines.base import Engine, EngineInfo, create_engine
from autotune.engines.metrics import (
    Pass,
    mean_lengths,
    output_throughputs,
    relative_ci95,
    summarize,
)
from autotune.engines.prompts.files import encoder
from autotune.engines.prompts.synthetic import LoadMaker
from autotune.errors import TrialError
from autotune.processes import guard_group
from autotune.runner.failures import classify
from autotune.runner.telemetry import Meter
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import MeasurePolicy, Slo, Workload

_GRACE_S = 3.0
Emit = Callable[..., None]


def is_precise(passes: list[Pass], policy: MeasurePolicy, elapsed_s: float) -> bool:
    """Whether the repeats may end: precise enough, or out of repeats or time."""
    if len(passes) < policy.min_repeats:
        return elapsed_s >= policy.time_budget_s and len(passes) >= 1
    ci95 = relative_ci95(output_throughputs(passes))
    return (
        (ci95 is not None and ci95 <= policy.target_ci95)
        or len(passes) >= policy.max_repeats
        or elapsed_s >= policy.time_budget_s
    )


def measure(
    engine: Engine,
    loads: LoadMaker,
    *,
    batch_size: int,
    policy: MeasurePolicy,
    slo: Slo,
    n_gpus: int,
    emit: Emit,
) -> dict[str, Any]:
    """Warm one shape up, repeat it until the policy is met, and return its metrics.

    Args:
        slo: Limits for the goodput.
        n_gpus: GPUs to read power and memory of; 0 on a CPU.

    Returns:
        The metric fields of a RunRecord, and under ``circumstances`` what belongs in its
        environment.
    """

    def run(index: int, *, warmup: bool) -> Pass:
        load = loads.make(batch_size, index)
        result = engine.run(load)
        if result.output_tokens != sum(load.output_lens):
            raise TrialError(
                "crashed",
                f"{result.output_tokens} tokens came back, {sum(load.output_lens)} were asked for",
            )
        emit("pass", warmup=warmup, output_throughput=result.output_tokens / result.duration_s)
        return result

    for index in range(policy.warmups):
        run(index, warmup=True)
    passes: list[Pass] = []
    begin = time.perf_counter()
    with Meter(n_gpus) as meter:
        while not passes or not is_precise(passes, policy, time.perf_counter() - begin):
            passes.append(run(policy.warmups + len(passes), warmup=False))
    row: dict[str, Any] = summarize(passes, slo) | meter.readings
    if meter.energy_j is not None:
        row["energy_j_per_token"] = meter.energy_j / sum(p.output_tokens for p in passes)
    return row | {"circumstances": mean_lengths(passes) | meter.circumstances}


class Worker:
    """Answers requests until the input ends."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._engine: Engine | None = None
        self._info: EngineInfo | None = None
        self._config: EngineConfig | None = None

    def handle(self, request: Mapping[str, Any]) -> None:
        """Answer one request with ``started``, ``measured`` or ``failed``."""
        started = self._info is not None
        try:
            if request["op"] == "start":
                self._start(request)
            else:
                self._emit("measured", metrics=self._measure(request))
        except TrialError as error:
            self._emit("failed", status=error.status, message=str(error))
        except Exception as error:  # noqa: BLE001 - whatever an engine raises is a result here
            traceback.print_exc()
            text = f"{type(error).__name__}: {error}"
            self._emit("failed", status=classify(text, started=started), message=text)

    def _measure(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self._engine is None or self._info is None or self._config is None:
            raise TrialError("load_failed", "no engine has been started")
        vocab_size, config = self._info.vocab_size, self._config

        def encode(text: str) -> list[int]:
            trusted = config.trust_remote_code
            return encoder(config.model, vocab_size, trust_remote_code=trusted)(text)

        loads = LoadMaker(
            Workload(**request["workload"]),
            encode=encode,
            vocab_size=vocab_size,
            seed=request["seed"],
        )
        return measure(
            self._engine,
            loads,
            batch_size=request["batch_size"],
            policy=MeasurePolicy(**request["policy"]),
            slo=Slo(**request["slo"]),
            n_gpus=0 if config.is_on_cpu else config.n_gpus,
            emit=self._emit,
        )

    def _start(self, request: Mapping[str, Any]) -> None:
        config = self._config = EngineConfig(**request["config"])
        begin = time.perf_counter()
        self._engine = create_engine(config)
        self._info = self._engine.start(
            config,
            max_batch_size=request["max_batch_size"],
            max_model_len=request["max_model_len"],
        )
        self._emit(
            "started",
            info=dataclasses.asdict(self._info),
            engine_start_s=time.perf_counter() - begin,
        )


def main() -> None:
    """Serve the session that started this process."""
    events_fd = int(os.environ["AUTOTUNE_EVENTS_FD"])
    guard_group(lifeline=sys.stdin.fileno(), close=(events_fd,), grace_s=_GRACE_S)
    os.set_inheritable(events_fd, False)
    events = os.fdopen(events_fd, "w", encoding="utf-8")

    def emit(event: str, **fields: Any) -> None:
        events.write(json.dumps({"event": event, **fields}) + "\n")
        events.flush()

    worker = Worker(emit)
    for line in sys.stdin:
        worker.handle(json.loads(line))
    # An engine's own threads may hold the interpreter; the session has everything worth keeping.
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
