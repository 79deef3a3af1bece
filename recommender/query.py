"""What is asked of the recommender."""

from dataclasses import dataclass, field

from autotune.spec import (
    RUNNABLE_ENGINES,
    Workload,
    check_choice,
    check_positive,
    check_positive_int,
)

OBJECTIVES = ("throughput", "per-gpu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """What was asked.

    Attributes:
        model_path: Directory of a model that is not in the catalogue.
        source_gpu: The GPU served on until now; ``None`` when there is none.
        max_gpus: Most GPUs of one replica to consider.
        max_batch_size: Largest batch to consider (HF stops at 512 anyway).
        tolerance: Share of the best that may be given up for fewer GPUs or a smaller batch.
    """

    model: str
    target_gpu: str
    model_path: str | None = None
    source_gpu: str | None = None
    engine: str = "vllm"
    max_gpus: int = 8
    max_batch_size: int = 1024
    workload: Workload = field(default_factory=Workload)
    dtype: str = "auto"
    quantization: str | None = None
    objective: str = "throughput"
    tolerance: float = 0.02
    top: int = 5

    def __post_init__(self) -> None:
        check_choice("engine", self.engine, (*RUNNABLE_ENGINES, "all"))
        check_choice("objective", self.objective, OBJECTIVES)
        for name in ("max_gpus", "max_batch_size", "top"):
            check_positive_int(name, getattr(self, name))
        if self.tolerance:
            check_positive("tolerance", self.tolerance)

    @property
    def engines(self) -> tuple[str, ...]:
        """The engines to compare."""
        return RUNNABLE_ENGINES if self.engine == "all" else (self.engine,)
