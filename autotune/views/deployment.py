"""How to serve a configuration: the line, a container, Kubernetes, or a pipeline's program."""

import re
import shlex
from typing import Final

from autotune.engines.vllm.arguments import serve_arguments
from autotune.schema.configuration import Configuration
from autotune.views.pages.document import code

CONTAINER: Final = "vllm/vllm-openai"
_PORT: Final = 8000


def serve_line(configuration: Configuration, model: str | None = None) -> str:
    """Return what to type on the target."""
    return shlex.join(["vllm", "serve", *serve_arguments(configuration, model)])


def docker_line(configuration: Configuration) -> str:
    """Return the same in vLLM's own image, at the version that was measured if that is known."""
    options = (
        f"docker run --rm --gpus all --ipc=host -p {_PORT}:{_PORT} \\\n"
        '  -v "$HOME/.cache/huggingface:/root/.cache/huggingface" -e HF_TOKEN \\\n'
    )
    command = shlex.join(["--model", *serve_arguments(configuration)])
    return f"{options}  {_image(configuration)} {command}"


def _image(configuration: Configuration) -> str:
    version = configuration.engine_version
    return f"{CONTAINER}:v{version}" if version else f"{CONTAINER}:latest"


def kubernetes_manifest(configuration: Configuration, replicas: int = 1) -> str:
    """Return a Deployment and its Service as YAML."""
    import yaml

    short = re.sub(r"[^a-z0-9]+", "-", configuration.model.rpartition("/")[2].lower())
    name = f"vllm-{short.strip('-')}"[:63]
    labels = {"app": name}
    container = {
        "name": "vllm",
        "image": _image(configuration),
        "args": ["--model", *serve_arguments(configuration)],
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
    configuration: Configuration, *, replicas: int = 1, model: str | None = None
) -> str:
    """Return every way to deploy a configuration, each under its name."""
    if configuration.engine == "hf":
        return f"Python:\n\n{code(pipeline_program(configuration, model), 'python')}"
    if configuration.engine != "vllm":
        return f"Start {configuration.engine} with {configuration.batch_size} sequences in flight."
    parts = [f"On the host:\n\n{code(serve_line(configuration, model), 'sh')}"]
    if not configuration.gpu.startswith("CPU:") and model is None:
        manifest = kubernetes_manifest(configuration, replicas)
        parts += [
            f"In a container:\n\n{code(docker_line(configuration), 'sh')}",
            f"On Kubernetes:\n\n{code(manifest, 'yaml')}",
        ]
    return "\n\n".join(parts)
