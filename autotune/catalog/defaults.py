"""The batch size that an engine takes when nobody names one."""

from autotune.catalog.gpus import GpuSpec

# vLLM's max_num_seqs for offline use (get_batch_defaults in its arg_utils.py).
_VLLM, _VLLM_LARGE_GPU, _LARGE_GPU_GB = 256, 1024, 70.0


def default_batch_size(engine: str, gpu: GpuSpec) -> int:
    """Return vLLM's default ``max_num_seqs`` on this GPU, or a pipeline's ``batch_size`` of 1."""
    if engine == "hf":
        return 1
    # vLLM leaves the A100 at the smaller default whatever its memory.
    is_large = gpu.memory_gb >= _LARGE_GPU_GB and not gpu.name.startswith(("A100", "CPU:"))
    return _VLLM_LARGE_GPU if is_large else _VLLM
