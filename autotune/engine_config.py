"""EngineConfig: what one engine start fixes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from autotune.checks import check_choice, check_name, check_positive_int, check_seed, check_switch
from autotune.configuration import Knob, check_knobs
from autotune.errors import InvalidConfigError

RUNNABLE_ENGINES = ("vllm", "hf")
DTYPES = ("auto", "float32", "float16", "bfloat16")
_FIXED_BY_AUTOTUNE = {
    "model": "--model",
    "tensor_parallel_size": "--n-gpus",
    "max_num_seqs": "--batch-sizes",
    "dtype": "--dtype",
    "quantization": "--quantization",
    "trust_remote_code": "--trust-remote-code",
    "seed": "the study's seed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineConfig:
    """What one engine start fixes.

    Attributes:
        model: Catalogue name, or a directory with a config.json.
        gpu: Catalogue name of the GPU it runs on.
        n_gpus: GPUs of one replica.
        knobs: Further engine arguments by the engine's own names.
    """

    engine: str
    model: str
    gpu: str
    n_gpus: int = 1
    dtype: str = "auto"
    quantization: str | None = None
    knobs: Mapping[str, Knob] = field(default_factory=dict)
    trust_remote_code: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, RUNNABLE_ENGINES)
        check_choice("dtype", self.dtype, DTYPES)
        check_name("model", self.model)
        check_name("gpu", self.gpu)
        check_name("quantization", self.quantization, optional=True)
        check_positive_int("n_gpus", self.n_gpus)
        check_switch("trust_remote_code", self.trust_remote_code)
        check_seed("seed", self.seed)
        check_knobs(self.knobs)
        for knob in self.knobs:
            if knob in _FIXED_BY_AUTOTUNE:
                raise InvalidConfigError(
                    f"knob {knob!r} is set by autotune itself; use {_FIXED_BY_AUTOTUNE[knob]}"
                )

    @property
    def is_on_cpu(self) -> bool:
        """Whether the engine runs on the host's processor."""
        return self.gpu.startswith("CPU:")
