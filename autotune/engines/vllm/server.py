"""vLLM behind its OpenAI-compatible server: one start, any number of requests in flight."""

import contextlib
import os
import re
import sys
from typing import TYPE_CHECKING, Any

from autotune.engines.base import EngineInfo, Load
from autotune.engines.metrics import Pass
from autotune.engines.vllm.arguments import (
    SERVER_DEFAULTS,
    engine_arguments,
    environment_defaults,
    flags,
)
from autotune.engines.vllm.server_process import HOST, ServerProcess, serving
from autotune.engines.weights import Weights, find_weights, model_files
from autotune.errors import TrialError
from autotune.schema.engine_config import EngineConfig

if TYPE_CHECKING:
    from autotune.engines.vllm.load_client import LoadClient

# The command `vllm serve` runs the same; it needs a distribution of exactly that name.
_COMMAND = (
    sys.executable,
    "-m",
    "vllm.entrypoints.openai.api_server",
    "--no-enable-log-requests",
    "--disable-uvicorn-access-log",
)
_CACHE_INFO = re.compile(r"^vllm:cache_config_info\{(.*)\}", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


class VllmServer:
    """A server in processes of its own, and vLLM's benchmark client in this one."""

    def __init__(self) -> None:
        self._resources = contextlib.ExitStack()
        self._server: ServerProcess | None = None
        self._client: LoadClient | None = None

    def start(self, config: EngineConfig, *, max_batch_size: int, max_model_len: int) -> EngineInfo:
        """Start the server and wait until it answers.

        Raises:
            TrialError: When vLLM refuses the configuration or the server ends while starting.
        """
        weights = find_weights(config.model, config.like)
        with contextlib.ExitStack() as resources:
            # Nobody reads the files any more once the server answers.
            with model_files(weights) as files:
                arguments = files | _server_arguments(
                    config, weights, max_batch_size, max_model_len
                )
                command = [*_COMMAND, *flags(arguments)]
                server = resources.enter_context(serving(command, _environment(config)))
                # This imports vLLM: seconds that pass while the server does the same.
                model_config = _model_config(arguments)
                self._client = _make_client(server, arguments)
                server.wait_until_ready()
            self._server, self._resources = server, resources.pop_all()
        return _describe(model_config, weights, arguments, server)

    def run(self, load: Load) -> Pass:
        """Send the requests as ``vllm bench serve`` does; times count from each one's sending."""
        if self._server is None or self._client is None:
            raise TrialError("crashed", "no server has been started")
        self._server.check_alive("crashed")
        return self._client.run(load)

    def close(self) -> None:
        """End the server and whatever it started."""
        self._server = self._client = None
        self._resources.close()


def create() -> VllmServer:
    """Return a fresh engine."""
    return VllmServer()


def _server_arguments(
    config: EngineConfig, weights: Weights, max_batch_size: int, max_model_len: int
) -> dict[str, Any]:
    """Return ``EngineArgs`` but for the model's files."""
    arguments = engine_arguments(
        config, weights, max_batch_size=max_batch_size, max_model_len=max_model_len
    )
    return {**SERVER_DEFAULTS, **arguments, "served_model_name": "autotune"}


def _environment(config: EngineConfig) -> dict[str, str]:
    """Return the server's environment; nobody is asked for a key on the loopback interface."""
    return {
        name: value
        for name, value in (environment_defaults(config) | dict(os.environ)).items()
        if name != "VLLM_API_KEY"
    }


def _model_config(arguments: dict[str, Any]) -> Any:
    """Return what vLLM makes of the arguments and the model's config.json.

    Raises:
        TrialError: When it refuses them; the server, asked the same, only ends.
    """
    from vllm.engine.arg_utils import EngineArgs

    try:
        return EngineArgs(**arguments).create_model_config()
    except ValueError as error:
        raise TrialError("load_failed", f"vLLM refuses the configuration: {error}") from error


def _make_client(server: ServerProcess, arguments: dict[str, Any]) -> "LoadClient":
    from vllm.tokenizers import get_tokenizer

    from autotune.engines.vllm.load_client import LoadClient

    _bypass_proxies()
    tokenizer = get_tokenizer(
        arguments["tokenizer"], trust_remote_code=arguments["trust_remote_code"]
    )
    return LoadClient(
        base_url=server.base_url, model=arguments["served_model_name"], tokenizer=tokenizer
    )


def _bypass_proxies() -> None:
    """Keep the client, which heeds the environment's proxies, from asking one for this host."""
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, (os.environ.get(name), HOST)))


def _describe(
    model_config: Any, weights: Weights, arguments: dict[str, Any], server: ServerProcess
) -> EngineInfo:
    import vllm

    return EngineInfo(
        engine_version=vllm.__version__,
        dtype=str(model_config.dtype).removeprefix("torch."),
        weights="random" if arguments["load_format"] == "dummy" else weights.kind,
        vocab_size=model_config.get_vocab_size(),
        kv_cache_tokens=kv_cache_tokens(server.get("/metrics") or ""),
        settings={
            "engine_reuse": "client concurrency",
            "measuring_tool": f"vllm bench serve {vllm.__version__}",
            "tokenizer": "model's own" if weights.has_tokenizer else "one word per token id",
        },
    )


def kv_cache_tokens(metrics: str) -> int | None:
    """Return the tokens that the KV caches of all replicas hold, from the server's ``/metrics``."""
    total = 0
    for labels in _CACHE_INFO.findall(metrics):
        info = dict(_LABEL.findall(labels))
        blocks, size = info.get("num_gpu_blocks", ""), info.get("block_size", "")
        if not (blocks.isdecimal() and size.isdecimal()):
            return None
        total += int(blocks) * int(size)
    return total or None
