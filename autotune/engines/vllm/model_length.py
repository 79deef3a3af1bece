"""How long a sequence a deployed vLLM takes: where the model's own maximum does not fit, less.

vLLM does not start unless one sequence of ``max_model_len`` fits the KV cache that is left beside
the weights.
"""

from dataclasses import dataclass
from functools import partial
from typing import Final

from autotune.catalog.gpus import find_gpu
from autotune.catalog.memory import MemoryPlan, plan_memory
from autotune.catalog.models import find_model
from autotune.errors import AutotuneError
from autotune.schema.configuration import Configuration
from autotune.schema.engine_config import parallel_sizes

# vLLM's own default was 0.9 for long; 0.26 takes 0.92.
_UTILIZATION: Final = 0.9
# Share of the memory to leave beside what the arithmetic says: of the starts among the reference
# runs, those of Qwen3-30B-A3B on H100s had 1.8 % less for their cache, all others at most 0.5 %.
_SPARE: Final = 0.03
_SMALLEST_STEP: Final = 16  # tokens of vLLM's cache block


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortened:
    """A length to serve, and why not the model's own.

    Attributes:
        max_model_len: Tokens of the longest sequence, prompt and output together.
        own_len: Tokens that the model takes.
        needed_gb: Cache of one sequence of that length on a GPU, in units of 2**30 bytes.
        left_gb: What a GPU has left for it.
    """

    max_model_len: int
    own_len: int
    needed_gb: float
    left_gb: float

    @property
    def reason(self) -> str:
        """Return why, in a sentence without its stop."""
        return (
            f"--max-model-len {self.max_model_len}: a sequence of the model's own "
            f"{self.own_len:,} tokens needs {self.needed_gb:.1f} GiB of KV cache a GPU, about "
            f"{self.left_gb:.1f} are left beside the weights"
        )


def shortened(configuration: Configuration) -> Shortened | None:
    """Return the length that a deployed vLLM must be told.

    ``None`` where the model's own fits, where a knob says one, on a processor (its cache is sized
    by the host), and for what cannot be looked up.
    """
    is_told = configuration.knobs.get("max_model_len") is not None
    if configuration.engine != "vllm" or configuration.gpu.startswith("CPU:") or is_told:
        return None
    try:
        return _shortened(configuration)
    except (AutotuneError, ValueError):
        return None


def _shortened(configuration: Configuration) -> Shortened | None:
    profile, gpu = find_model(configuration.model), find_gpu(configuration.gpu)
    sizes = parallel_sizes(configuration.n_gpus, configuration.knobs)
    if sizes.data > 1 and profile.n_experts:
        return None  # experts lie over all ranks, the cache over each one's own
    utilization = configuration.knobs.get("gpu_memory_utilization") or _UTILIZATION
    plan = partial(
        plan_memory,
        profile,
        gpu,
        engine="vllm",
        n_gpus=sizes.tensor * sizes.pipeline,
        batch_size=sizes.batch_of_rank(configuration.batch_size),
        dtype=configuration.quantization or configuration.dtype or "auto",
        kv_dtype=str(configuration.knobs.get("kv_cache_dtype") or "auto"),
        gpu_memory_utilization=float(utilization) - _SPARE,
    )
    own = plan(sequence_len=profile.max_model_len)
    if own.max_sequences:
        return None
    wanted = (configuration.input_len or 0) + (configuration.output_len or 0)
    longest = _longest(plan, profile.max_model_len)
    # An eighth to a sixteenth is the most that a round number gives up.
    step = max(1 << max(longest.bit_length() - 4, 0), _SMALLEST_STEP)
    length = min(max(longest // step * step, wanted), profile.max_model_len)
    if not length:
        return None
    return Shortened(
        max_model_len=length,
        own_len=profile.max_model_len,
        needed_gb=own.kv_gb,
        left_gb=max(own.available_gb - own.weights_gb - own.activations_gb, 0.0),
    )


def _longest(plan: partial[MemoryPlan], most: int) -> int:
    """Return the longest sequence whose cache fits, below one that does not; 0 if none does."""
    fits, too_long = 0, most
    while too_long - fits > 1:
        middle = (fits + too_long) // 2
        if plan(sequence_len=middle).max_sequences:
            fits = middle
        else:
            too_long = middle
    return fits
