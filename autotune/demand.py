"""What is asked of an engine: the requests, their latency limits, and how precisely to measure."""

from dataclasses import dataclass

from autotune.checks import check_choice, check_positive, check_positive_int, refuse_setting
from autotune.vocabulary import MODES


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests: their mode and their lengths in tokens."""

    mode: str = "closed_batch"
    input_len: int = 512
    output_len: int = 128

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, MODES)
        check_positive_int("input_len", self.input_len)
        check_positive_int("output_len", self.output_len)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Latency limits; ``None`` where there is none."""

    max_ttft_ms: float | None = None
    max_tpot_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_ttft_ms", "max_tpot_ms"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasurePolicy:
    """When a measurement is good enough.

    After ``warmups`` passes of the same shape, passes repeat until the 95 % confidence interval of
    the throughput is within ``target_ci95`` of its mean (never before ``min_repeats``), or
    ``max_repeats`` or ``time_budget_s`` is reached.
    """

    warmups: int = 1
    min_repeats: int = 3
    max_repeats: int = 20
    target_ci95: float = 0.02
    time_budget_s: float = 60.0

    def __post_init__(self) -> None:
        for name in ("warmups", "min_repeats", "max_repeats"):
            check_positive_int(name, getattr(self, name))
        for name in ("target_ci95", "time_budget_s"):
            check_positive(name, getattr(self, name))
        if self.max_repeats < self.min_repeats:
            want = f"at least min_repeats={self.min_repeats}"
            raise refuse_setting("max_repeats", self.max_repeats, want)
