"""Which configurations are legal for a model, before memory is asked."""

from autotune.errors import InvalidConfigError
from autotune.models import ModelProfile
from autotune.spec import Workload


def can_split(profile: ModelProfile, engine: str, n_gpus: int) -> bool:
    """Whether the model can be laid over so many GPUs: tensor parallelism needs whole heads."""
    return engine == "hf" or profile.n_heads % n_gpus == 0


def check_split(profile: ModelProfile, engine: str, n_gpus: int) -> None:
    """Refuse a GPU count that the model cannot be laid over.

    Raises:
        InvalidConfigError: Naming the heads and the count.
    """
    if not can_split(profile, engine, n_gpus):
        raise InvalidConfigError(
            f"n_gpus={n_gpus}: the {profile.n_heads} attention heads of {profile.name} "
            "cannot be split evenly; use a divisor"
        )


def check_lengths(profile: ModelProfile, workload: Workload) -> None:
    """Refuse a workload longer than the model's context.

    Raises:
        InvalidConfigError: Naming both lengths.
    """
    wanted = workload.input_len + workload.output_len
    if wanted > profile.max_model_len:
        raise InvalidConfigError(
            f"input_len + output_len = {wanted} is beyond the {profile.max_model_len} tokens "
            f"that {profile.name} takes"
        )
