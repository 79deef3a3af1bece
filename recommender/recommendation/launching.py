"""The line that starts one replica of a configuration."""

from autotune.schema.record import Configuration
from autotune.views.deployment import serve_line


def command(configuration: Configuration, model_path: str | None = None) -> str:
    """Return what to type (vLLM) or to write (HF) to deploy the configuration.

    A pipeline takes the GPUs that it sees, so the line for HF names them.
    """
    if configuration.engine != "hf":
        return serve_line(configuration, model_path)
    model, n_gpus = model_path or configuration.model, configuration.n_gpus
    batch = f"(prompts, batch_size={configuration.batch_size})"
    if configuration.gpu.startswith("CPU:"):
        return f'pipeline("text-generation", model="{model}"){batch}'
    visible = ",".join(str(index) for index in range(n_gpus))
    return (
        f'CUDA_VISIBLE_DEVICES={visible}: pipeline("text-generation", model="{model}", '
        f'device_map="auto"){batch}'
    )
