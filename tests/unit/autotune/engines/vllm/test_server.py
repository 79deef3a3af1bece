"""What a vLLM server is started with, and what the process around it promises."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from autotune.engines.vllm.arguments import engine_arguments, environment_defaults, flags
from autotune.engines.vllm.server import kv_cache_tokens
from autotune.engines.weights import Weights, find_weights
from autotune.schema.engine_config import EngineConfig

RANDOM = Weights(kind="random", config={"vocab_size": 3}, directory=None)


def config(**changes: Any) -> EngineConfig:
    return EngineConfig(**({"engine": "vllm", "model": "gpt2", "gpu": "CPU: x"} | changes))


def arguments(given: EngineConfig, weights: Weights = RANDOM) -> dict[str, Any]:
    return engine_arguments(given, weights, max_batch_size=4, max_model_len=64)


def test_flags_say_what_the_configuration_says() -> None:
    knobs = {"enforce_eager": True, "enable_prefix_caching": True, "async_scheduling": False}
    line = flags(arguments(config(knobs=knobs | {"block_size": 32}, dtype="float32")))
    assert {"--enforce-eager", "--enable-prefix-caching", "--no-async-scheduling"} < set(line)
    assert {"--block-size=32", "--dtype=float32", "--max-num-seqs=4"} < set(line)
    assert {"--load-format=dummy", "--no-trust-remote-code"} < set(line)
    assert not any("quantization" in flag for flag in line)


def test_tensor_parallelism_is_what_the_other_sizes_leave() -> None:
    knobs = {"pipeline_parallel_size": 2, "data_parallel_size": 2}
    line = flags(arguments(config(n_gpus=8, serving=True, knobs=knobs)))
    assert "--tensor-parallel-size=2" in line
    assert {"--pipeline-parallel-size=2", "--data-parallel-size=2"} < set(line)
    assert "--max-num-seqs=2" in line, "vLLM counts the sequences of one rank"


def test_a_cache_and_cores_are_set_aside_on_a_processor_only() -> None:
    assert "VLLM_CPU_KVCACHE_SPACE" in environment_defaults(config())
    assert "VLLM_CPU_KVCACHE_SPACE" not in environment_defaults(config(gpu="H100"))
    bound = environment_defaults(config(n_gpus=2))["VLLM_CPU_OMP_THREADS_BIND"]
    assert len(bound.split("|")) <= 2


def test_the_cache_is_summed_over_the_replicas() -> None:
    line = 'vllm:cache_config_info{block_size="16",engine="%d",num_gpu_blocks="%s"} 1.0\n'
    assert kv_cache_tokens(line % (0, "100")) == 1600
    assert kv_cache_tokens(line % (0, "100") + line % (1, "50")) == 2400
    assert kv_cache_tokens(line % (0, "None")) is None
    assert kv_cache_tokens("") is None


@pytest.fixture
def tokenizers() -> None:
    pytest.importorskip("tokenizers", reason="the word tokenizer needs it")


@pytest.mark.usefixtures("tokenizers")
def test_a_config_alone_gets_a_directory_and_a_tokenizer_of_its_size() -> None:
    from autotune.engines.weights import model_files, word_tokenizer

    with model_files(RANDOM) as files:
        model, tokenizer = Path(files["model"]), Path(files["tokenizer"])
        assert json.loads((model / "config.json").read_text()) == {"vocab_size": 3}
        saved = json.loads((tokenizer / "tokenizer.json").read_text())
        assert saved["model"]["vocab"] == {"t0": 0, "t1": 1, "t2": 2}
    assert not model.exists()
    assert not tokenizer.exists()
    words = word_tokenizer(9)
    assert words.encode(words.decode([8, 0, 3])).ids == [8, 0, 3]


@pytest.mark.usefixtures("tokenizers")
def test_a_directory_without_a_tokenizer_is_served_as_it_is(tmp_path: Path) -> None:
    from autotune.engines.weights import model_files

    (tmp_path / "config.json").write_text('{"text_config": {"vocab_size": 5}}')
    with model_files(find_weights(str(tmp_path))) as files:
        assert files["model"] == str(tmp_path)
        assert (Path(files["tokenizer"]) / "tokenizer.json").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["config.json"]


@pytest.mark.usefixtures("tokenizers")
def test_a_models_own_tokenizer_is_used(demo_model: Path) -> None:
    from autotune.engines.weights import model_files

    with model_files(find_weights(str(demo_model))) as files:
        assert set(files.values()) == {str(demo_model)}


# A server of a few lines, started and ended in a process group of its own.
SERVE = """
import os, subprocess, sys
from autotune.engines.vllm.server_process import serving
from autotune.errors import TrialError
from autotune.processes import members

with serving([sys.executable, "-c", sys.argv[1]], os.environ) as server:
    try:
        server.wait_until_ready()
        print(server.get("/health"), server.get("/absent"), server.base_url.startswith("http://127."))
    except TrialError as error:
        print(error.status, error)
print(members(os.getpgrp()))
"""
SERVER = """
import http.server, subprocess, sys, time
host, port = (flag.split("=")[1] for flag in sys.argv[1:])
child = subprocess.Popen(["sleep", "300"])

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.end_headers()
        self.wfile.write(b"well")

http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""


@pytest.mark.parametrize(
    ("server", "says"),
    [
        (SERVER, "well None True"),
        ("raise SystemExit(3)", "load_failed the server ended with exit code 3; its log has the"),
        ("import os; os.kill(os.getpid(), 9)", "out_of_memory the server was killed by the kernel"),
    ],
)
def test_a_server_is_waited_for_and_leaves_nothing_behind(server: str, says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SERVE, server],
        capture_output=True,
        text=True,
        start_new_session=True,
        timeout=60,
        check=True,
    )
    first, left = done.stdout.splitlines()
    assert first.startswith(says)
    assert left == "[]"
