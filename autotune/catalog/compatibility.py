"""Which configurations are legal for a model, before memory is asked."""

from autotune.catalog.models import ModelProfile
from autotune.errors import InvalidConfigError
from autotune.schema.engine_config import EngineConfig
from autotune.schema.workload import Workload


def can_split(profile: ModelProfile, engine: str, n_gpus: int) -> bool:
    """Whether the model can be laid over so many GPUs: tensor parallelism needs whole heads."""
    return engine == "hf" or profile.n_heads % n_gpus == 0


def check_split(profile: ModelProfile, config: EngineConfig) -> None:
    """Refuse a GPU count that the model cannot be laid over.

    Raises:
        InvalidConfigError: Naming the heads and the count.
    """
    size = config.tensor_parallel_size
    if not can_split(profile, config.engine, size):
        raise InvalidConfigError(
            f"n_gpus={config.n_gpus}: the {profile.n_heads} attention heads of {profile.name} "
            f"cannot be split evenly over {size}; use a divisor"
        )


def check_lengths(profile: ModelProfile, workload: Workload) -> None:
    """Refuse a workload longer than the model's context.

    Raises:
        InvalidConfigError: Naming both lengths.
    """
    wanted = workload.max_len
    if wanted > profile.max_model_len:
        raise InvalidConfigError(
            f"the longest request's input_len + output_len = {wanted} is beyond the "
            f"{profile.max_model_len} tokens that {profile.name} takes"
        )
