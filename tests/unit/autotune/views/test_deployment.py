"""How to serve a configuration: every form is read by what it is for."""

import ast
import json
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


REPLICAS = record(n_gpus=8, batch_size=512, gpu="L4", knobs={"data_parallel_size": 8})

# Where vLLM's own parser of `vllm serve` lies, in 0.32 and in 0.26.
PARSE = """
import json, sys
try:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser
except ImportError:
    from vllm.entrypoints.openai.cli_args import make_arg_parser
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = make_arg_parser(FlexibleArgumentParser())
for line in json.loads(sys.argv[1]):
    taken = parser.parse_args(line)
    print(taken.model_tag, taken.tensor_parallel_size, taken.data_parallel_size,
          taken.max_num_seqs, taken.enforce_eager, taken.enable_prefix_caching,
          taken.kv_cache_dtype, taken.quantization, taken.max_model_len)
"""


@pytest.mark.slow
@pytest.mark.skipif(find_spec("vllm") is None, reason="vLLM is not installed")
def test_vllm_takes_the_lines_as_they_are() -> None:
    runs = (RUN, REPLICAS, record(gpu="L4", batch_size=16, knobs={"kv_cache_dtype": "fp8"}))
    lines = [shlex.split(serve_line(run))[2:] for run in runs]
    done = subprocess.run(
        [sys.executable, "-c", PARSE, json.dumps(lines)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    llama = "meta-llama/Llama-3.1-8B"
    assert done.stdout.splitlines()[-3:] == [
        f"{llama} 4 1 256 True False fp8 fp8 None",
        f"{llama} 1 8 64 False None auto None 26624",
        f"{llama} 1 1 16 False None fp8 None 53248",
    ]


def test_every_form_says_formats_and_length() -> None:
    knobs = {"kv_cache_dtype": "fp8", "gpu_memory_utilization": 0.7}
    small = record(gpu="L4", quantization="fp8", knobs=knobs)
    text = deployment_markdown(small)
    for option in ("--quantization", "--kv-cache-dtype", "--max-model-len"):
        assert text.count(option) == 3 + (option == "--max-model-len"), "once more for its reason"


def test_replicas_of_one_server_are_pods_of_their_own_on_kubernetes() -> None:
    for replicas in (1, 2):
        deployment, _ = yaml.safe_load_all(kubernetes_manifest(REPLICAS, replicas=replicas))
        [container] = deployment["spec"]["template"]["spec"]["containers"]
        assert deployment["spec"]["replicas"] == 8 * replicas
        assert container["resources"]["limits"] == {"nvidia.com/gpu": 1}
        assert "--data-parallel-size" not in container["args"]
        assert container["args"][container["args"].index("--max-num-seqs") + 1] == "64"


@pytest.mark.parametrize("model", ["mistralai/Mixtral-8x7B-v0.1", "nobody/knows-it"])
def test_what_may_share_experts_stays_in_one_pod(model: str) -> None:
    shared = record(model=model, n_gpus=8, knobs={"data_parallel_size": 2})
    deployment, _ = yaml.safe_load_all(kubernetes_manifest(shared))
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    assert deployment["spec"]["replicas"] == 1
    assert container["resources"]["limits"] == {"nvidia.com/gpu": 8}
    assert "--data-parallel-size" in container["args"]


def test_the_host_starts_all_replicas_and_a_pod_one() -> None:
    one = record(gpu="H100-80GB", batch_size=64)
    four = record(gpu="H100-80GB", n_gpus=4, batch_size=256, knobs={"data_parallel_size": 4})
    text = deployment_markdown(one, replicas=4, on_one_host=four, published="me/tuned")
    assert text.count("--data-parallel-size 4") == 2, "on the host and in a container"
    assert "replicas: 4" in text
    assert text.count("me/tuned") == 3
    assert "name: vllm-tuned" in text
    assert one.model not in text


@pytest.mark.parametrize(
    ("version", "tag"), [("0.26.0+cu130", "v0.26.0"), (None, "latest"), ("unknown", "latest")]
)
def test_the_image_is_of_the_version(version: str | None, tag: str) -> None:
    assert f"vllm/vllm-openai:{tag} " in docker_line(record(engine_version=version))


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
