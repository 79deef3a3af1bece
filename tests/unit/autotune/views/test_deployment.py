"""How to serve a configuration: every form is read by what it is for."""

import ast
import shlex
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml

from autotune.views.deployment import (
    deployment_markdown,
    docker_line,
    kubernetes_manifest,
    pipeline_program,
    serve_line,
)
from tests.support.records import record

RUN = record(
    n_gpus=4,
    batch_size=256,
    dtype="bfloat16",
    quantization="fp8",
    knobs={"enforce_eager": True, "enable_prefix_caching": False, "kv_cache_dtype": "fp8",
           "workload.num_prompts": 8},
)  # fmt: skip


def test_the_line_has_the_configuration_and_its_knobs() -> None:
    assert shlex.split(serve_line(RUN))[2:] == [
        "meta-llama/Llama-3.1-8B",
        *("--tensor-parallel-size", "4", "--max-num-seqs", "256"),
        *("--dtype", "bfloat16", "--quantization", "fp8"),
        "--enforce-eager",
        "--no-enable-prefix-caching",
        *("--kv-cache-dtype", "fp8"),
    ]


@pytest.mark.parametrize(
    ("n_gpus", "knobs", "sizes"),
    [
        (4, {"data_parallel_size": 4}, ("1", "64")),
        (8, {"data_parallel_size": 2, "pipeline_parallel_size": 2}, ("2", "128")),
        (4, {"pipeline_parallel_size": 4}, ("1", "256")),
        (6, {"data_parallel_size": 3}, ("2", "86")),
    ],
)
def test_replicas_deploy_on_the_gpus_and_with_the_sequences_they_were_measured_with(
    n_gpus: int, knobs: dict[str, int], sizes: tuple[str, str]
) -> None:
    served = record(n_gpus=n_gpus, batch_size=256, knobs=knobs, mode="serving")
    line = shlex.split(serve_line(served))
    given = dict(zip(line[3::2], line[4::2], strict=True))
    assert (given["--tensor-parallel-size"], given["--max-num-seqs"]) == sizes
    for name, value in knobs.items():
        assert given["--" + name.replace("_", "-")] == str(value)


PARSE = """
import sys
from vllm.engine.arg_utils import AsyncEngineArgs
from vllm.utils.argparse_utils import FlexibleArgumentParser
taken = AsyncEngineArgs.add_cli_args(FlexibleArgumentParser()).parse_args(sys.argv[1:])
print(taken.tensor_parallel_size, taken.max_num_seqs, taken.enforce_eager,
      taken.enable_prefix_caching, taken.kv_cache_dtype)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_takes_the_line_as_it_is() -> None:
    arguments = ["--model", *shlex.split(serve_line(RUN))[2:]]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "4 256 True False fp8"


def test_the_container_has_the_version_that_was_measured() -> None:
    words = shlex.split(docker_line(RUN).replace("\\\n", " "))
    assert "vllm/vllm-openai:v0.26.0" in words
    assert words[-2:] == ["--kv-cache-dtype", "fp8"]


def test_the_manifest_asks_for_the_gpus_of_each_replica() -> None:
    deployment, service = yaml.safe_load_all(kubernetes_manifest(RUN, replicas=2))
    pod = deployment["spec"]["template"]
    [container] = pod["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 2
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 4}
    assert container["args"][:2] == ["--model", "meta-llama/Llama-3.1-8B"]
    assert pod["metadata"]["labels"] == service["spec"]["selector"]
    assert deployment["metadata"]["name"] == "vllm-llama-3-1-8b"


@pytest.mark.parametrize("gpu", ["H200", "CPU:some-2c"])
def test_the_pipelines_program_is_python(gpu: str) -> None:
    program = pipeline_program(record(engine="hf", gpu=gpu, n_gpus=2, batch_size=16))
    ast.parse(program)
    assert "batch_size=16" in program
    assert ("CUDA_VISIBLE_DEVICES" in program) == (gpu == "H200")


def test_a_section_has_every_form_of_its_engine() -> None:
    text = deployment_markdown(RUN)
    assert [part in text for part in ("vllm serve", "docker run", "kind: Deployment")] == [True] * 3
    assert "from transformers import pipeline" in deployment_markdown(record(engine="hf"))
    assert "docker" not in deployment_markdown(RUN, model="some/folder")
    assert "sglang" in deployment_markdown(record(engine="sglang"))
