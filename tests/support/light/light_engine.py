"""An engine that takes milliseconds, and misbehaves as ``LIGHT_ENGINE_FAULT`` says.

The fault strikes at batch size 2; once only when ``LIGHT_ENGINE_ONCE`` names a file to note it in.
"""

import os
import time
from pathlib import Path

from autotune.engines.base import EngineInfo, Load
from autotune.engines.metrics import Pass, RequestTiming
from autotune.errors import TrialError
from autotune.schema.engine_config import EngineConfig

_PASS_S = float(os.environ.get("LIGHT_ENGINE_PASS_S", "0.002"))
_FAULT = os.environ.get("LIGHT_ENGINE_FAULT", "")
_STRUCK_AT = 2


def _events(data: bytes) -> None:
    os.write(int(os.environ["AUTOTUNE_EVENTS_FD"]), data)


def _is_due() -> bool:
    once = os.environ.get("LIGHT_ENGINE_ONCE")
    if once is None:
        return True
    try:
        Path(once).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _hang() -> None:
    time.sleep(3600)


def _shout() -> None:
    while True:
        _events(b"x" * 65536)


def _tell_secrets() -> None:
    raise RuntimeError(f"the environment is {dict(os.environ)}")


_FAULTS = {
    "hangs": _hang,
    "writes binary": lambda: _events(b"\x00\xff\xfe garbage \x80\n"),
    "writes half a line": lambda: _events(b'{"event": "meas'),
    "writes no object": lambda: _events(b'["measured"]\n'),
    "writes no event": lambda: _events(b'{"metrics": {}}\n'),
    "writes an unknown event": lambda: _events(b'{"event": "dance"}\n'),
    "writes wrong metrics": lambda: _events(b'{"event": "measured", "metrics": {"n_cats": 1}}\n'),
    "writes impossible metrics": lambda: _events(
        b'{"event": "measured", "metrics": {"output_throughput": -1}}\n'
    ),
    "writes NaN": lambda: _events(
        b'{"event": "measured", "metrics": {"output_throughput": NaN}}\n'
    ),
    "writes metrics that are none": lambda: _events(b'{"event": "measured", "metrics": 7}\n'),
    "writes without end": _shout,
    "tells secrets": _tell_secrets,
    "exits": lambda: os._exit(7),
}


class LightEngine:
    """Generates nothing, in a time that grows with the batch."""

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Be up at once."""
        return EngineInfo(
            engine_version="light", dtype="float32", weights="random", vocab_size=1000
        )

    def run(self, load: Load) -> Pass:
        """Take a moment."""
        begin = time.perf_counter()
        time.sleep(_PASS_S)
        if _FAULT and load.in_flight == _STRUCK_AT and _is_due():
            if _FAULT not in _FAULTS:
                raise TrialError("crashed", f"no fault {_FAULT!r}")
            _FAULTS[_FAULT]()
        duration_s = time.perf_counter() - begin
        # Half of it before the first token.
        whole_ms = duration_s * 1e3
        return Pass(
            duration_s=duration_s,
            n_requests=len(load.prompts),
            input_tokens=load.input_tokens,
            output_tokens=sum(load.output_lens),
            requests=tuple(
                RequestTiming(ttft_ms=whole_ms / 2, e2el_ms=whole_ms, n_output=n)
                for n in load.output_lens
            ),
        )

    def close(self) -> None:
        """Nothing to give back."""


def create() -> LightEngine:
    """Return a fresh engine, as every engine's module does."""
    return LightEngine()
