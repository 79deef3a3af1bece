"""How to serve a configuration: the line, a container, Kubernetes, or a pipeline's program."""

import dataclasses
import re
import shlex
from typing import Final

from autotune.catalog.models import find_model
from autotune.engines.vllm.arguments import serve_arguments
from autotune.engines.vllm.model_length import shortened
from autotune.errors import AutotuneError
from autotune.schema.configuration import CONFIGURATION_FIELDS, Configuration
from autotune.schema.engine_config import parallel_sizes
from autotune.views.pages.document import code, inline

CONTAINER: Final = "vllm/vllm-openai"
_PORT: Final = 8000


def serve_line(configuration: Configuration, model: str | None = None) -> str:
    """Return what to type on the target."""
    return shlex.join(["vllm", "serve", *serve_arguments(configuration, model)])


def docker_line(configuration: Configuration, model: str | None = None) -> str:
    """Return the same in vLLM's own image, at the version that was measured if that is known."""
    options = (
        f"docker run --rm --gpus all --ipc=host -p {_PORT}:{_PORT} \\\n"
        '  -v "$HOME/.cache/huggingface:/root/.cache/huggingface" -e HF_TOKEN \\\n'
    )
    command = shlex.join(["--model", *serve_arguments(configuration, model)])
    return f"{options}  {_image(configuration)} {command}"


def _image(configuration: Configuration) -> str:
    # A build's own part of the version ("+cu130") names no image.
    version = (configuration.engine_version or "").partition("+")[0]
    return f"{CONTAINER}:v{version}" if version[:1].isdecimal() else f"{CONTAINER}:latest"


def kubernetes_manifest(
    configuration: Configuration, replicas: int = 1, model: str | None = None
) -> str:
    """Return a Deployment and its Service as YAML: a pod for each replica.

    Independent replicas that one server would hold become pods too, each of its own GPUs.
    """
    import yaml

    configuration, held = _apart(configuration)
    replicas *= held
    arguments = serve_arguments(configuration, model)
    short = re.sub(r"[^a-z0-9]+", "-", arguments[0].rpartition("/")[2].lower())
    name = f"vllm-{short.strip('-')}"[:63]
    labels = {"app": name}
    container = {
        "name": "vllm",
        "image": _image(configuration),
        "args": ["--model", *arguments],
        "ports": [{"containerPort": _PORT}],
        "resources": {"limits": {"nvidia.com/gpu": configuration.n_gpus}},
        "readinessProbe": {"httpGet": {"path": "/health", "port": _PORT}},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }
    pod = {
        "containers": [container],
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": labels, "ports": [{"port": 80, "targetPort": _PORT}]},
    }
    return str(yaml.safe_dump_all([deployment, service], sort_keys=False))


def _apart(configuration: Configuration) -> tuple[Configuration, int]:
    """Return one replica of a data-parallel start, and how many; experts hold it together."""
    replicas = parallel_sizes(configuration.n_gpus, configuration.knobs).data
    if replicas == 1 or _may_share_experts(configuration.model):
        return configuration, 1
    fields = {name: getattr(configuration, name) for name in CONFIGURATION_FIELDS}
    one = Configuration(**fields)
    knobs = {k: v for k, v in configuration.knobs.items() if k != "data_parallel_size"}
    return dataclasses.replace(
        one,
        n_gpus=configuration.n_gpus // replicas,
        batch_size=-(-configuration.batch_size // replicas),
        knobs=knobs,
    ), replicas


def _may_share_experts(model: str) -> bool:
    try:
        return bool(find_model(model).n_experts)
    except AutotuneError:
        return True


def pipeline_program(configuration: Configuration, model: str | None = None) -> str:
    """Return a Python program that generates with a pipeline in the configuration's batches."""
    is_on_cpu = configuration.gpu.startswith("CPU:")
    visible = ",".join(map(str, range(configuration.n_gpus)))
    place = "" if is_on_cpu else '    device_map="auto",\n'
    start = [] if is_on_cpu else [f'os.environ["CUDA_VISIBLE_DEVICES"] = "{visible}"', ""]
    return "\n".join(
        [
            *([] if is_on_cpu else ["import os", ""]),
            *start,
            "from transformers import pipeline",
            "",
            "generate = pipeline(",
            '    "text-generation",',
            f"    model={model or configuration.model!r},",
            f"    dtype={configuration.dtype or 'auto'!r},",
            f"{place})",
            "generate.tokenizer.pad_token = generate.tokenizer.pad_token or "
            "generate.tokenizer.eos_token",
            'generate.tokenizer.padding_side = "left"',
            f'prompts = ["def fibonacci(n):"] * {configuration.batch_size}',
            f"answers = generate(prompts, batch_size={configuration.batch_size}, "
            f"max_new_tokens={configuration.output_len or 128})",
            'print(answers[0][0]["generated_text"])',
        ]
    )


def deployment_markdown(
    configuration: Configuration,
    *,
    replicas: int = 1,
    on_one_host: Configuration | None = None,
    model: str | None = None,
    published: str | None = None,
) -> str:
    """Return every way to deploy a configuration, each under its name.

    Args:
        replicas: How many pods serve it.
        on_one_host: What one host starts, where that is more than one replica.
        model: A directory to serve, which no container sees.
        published: The name to serve, where the configuration carries another.
    """
    if configuration.engine == "hf":
        return f"Python:\n\n{code(pipeline_program(configuration, model), 'python')}"
    if configuration.engine != "vllm":
        return f"Start {configuration.engine} with {configuration.batch_size} sequences in flight."
    start = configuration if on_one_host is None else on_one_host
    parts = [f"On the host:\n\n{code(serve_line(start, model or published), 'sh')}"]
    if not configuration.gpu.startswith("CPU:") and model is None:
        manifest = kubernetes_manifest(configuration, replicas, published)
        parts += [
            f"In a container:\n\n{code(docker_line(start, published), 'sh')}",
            f"On Kubernetes:\n\n{code(manifest, 'yaml')}",
        ]
    length = shortened(configuration)
    if length is not None:
        parts.append(f"{inline(length.reason)}.")
    return "\n\n".join(parts)
