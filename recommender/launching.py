"""The line that starts one replica of a configuration."""

from autotune.records import Configuration


def command(configuration: Configuration, model_path: str | None = None) -> str:
    """Return what to type (vLLM) or to write (HF) to deploy the configuration.

    A pipeline takes the GPUs that it sees, so the line for HF names them.
    """
    model, n_gpus = model_path or configuration.model, configuration.n_gpus
    batch = configuration.batch_size
    if configuration.engine == "hf":
        visible = ",".join(str(index) for index in range(n_gpus))
        return (
            f'CUDA_VISIBLE_DEVICES={visible}: pipeline("text-generation", model="{model}", '
            f'device_map="auto")(prompts, batch_size={batch})'
        )
    options = f"--tensor-parallel-size {n_gpus} --max-num-seqs {batch}"
    if configuration.dtype not in (None, "auto"):
        options += f" --dtype {configuration.dtype}"
    if configuration.quantization is not None:
        options += f" --quantization {configuration.quantization}"
    return f"vllm serve {model} {options}"
