"""What is asked of an engine: the requests, their latency limits, and how precisely to measure."""

from collections.abc import Iterable
from dataclasses import dataclass

from autotune.errors import InvalidConfigError
from autotune.schema.configuration import WORKLOAD_PREFIX, Knob
from autotune.schema.record import RunRecord
from autotune.schema.validation import (
    MODES,
    check_choice,
    check_name,
    check_positive,
    check_positive_int,
    check_share,
    refuse_setting,
)

DATASETS = ("random", "code_completion", "file")
# About what arXiv 2408.01050 fed its models.
CODE_PROMPT_LEN = 190
LENGTH_DISTRIBUTIONS = ("fixed", "uniform", "lognormal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests: how they come, what they are, and their lengths in tokens.

    Attributes:
        mode: ``closed_batch``: all prompts of a batch at once. ``stream``: as many in flight as the
            batch size says, the next one entering as one ends, in the engine's own process.
            ``serving``: the same through the engine's OpenAI-compatible server.
        input_len: Prompt tokens a request; the mean where lengths vary.
        output_len: Generated tokens a request; the mean where lengths vary.
        dataset_name: ``random`` token ids, ``code_completion`` (beginnings of generated functions,
            the paper's kind of task), or ``file``.
        dataset_path: JSON lines with ``prompt`` or ``prompt_token_ids`` and optionally
            ``output_len``; its own lengths replace ``input_len``.
        dataset_digest: Fingerprint of the file, filled in when the study is planned.
        dataset_max_len: Most tokens one of its requests can have, filled in likewise.
        length_distribution: ``fixed``; ``uniform`` within ``length_spread`` of the mean; or
            ``lognormal`` with ``length_spread`` as its coefficient of variation.
        num_prompts: Requests of one pass of a stream or of serving; ``None`` takes four times the
            number in flight, eight at least.
        request_rate: Requests a second offered in serving; ``None`` sends as soon as one ends.
        burstiness: Shape of the gamma-distributed gaps between requests; 1 is a Poisson process.
    """

    mode: str = "closed_batch"
    input_len: int = 512
    output_len: int = 128
    dataset_name: str = "random"
    dataset_path: str | None = None
    dataset_digest: str | None = None
    dataset_max_len: int | None = None
    length_distribution: str = "fixed"
    length_spread: float = 0.0
    num_prompts: int | None = None
    request_rate: float | None = None
    burstiness: float = 1.0

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, MODES)
        check_positive_int("input_len", self.input_len)
        check_positive_int("output_len", self.output_len)
        self._check_prompts()
        self._check_arrivals()

    def _check_prompts(self) -> None:
        check_choice("dataset_name", self.dataset_name, DATASETS)
        for name in ("dataset_path", "dataset_digest"):
            check_name(name, getattr(self, name), optional=True)
        if self.dataset_max_len is not None:
            check_positive_int("dataset_max_len", self.dataset_max_len)
        if (self.dataset_name == "file") != (self.dataset_path is not None):
            raise InvalidConfigError(
                "dataset_name=file and dataset_path go together; give both or neither"
            )
        check_choice("length_distribution", self.length_distribution, LENGTH_DISTRIBUTIONS)
        check_share("length_spread", self.length_spread)
        if (self.length_distribution == "fixed") != (self.length_spread == 0):
            raise InvalidConfigError(
                f"length_distribution={self.length_distribution} with "
                f"length_spread={self.length_spread:g}: fixed lengths have no spread, the others "
                "need one above 0"
            )

    def _check_arrivals(self) -> None:
        if self.num_prompts is not None:
            check_positive_int("num_prompts", self.num_prompts)
        if self.request_rate is not None:
            check_positive("request_rate", self.request_rate)
        check_positive("burstiness", self.burstiness)
        if self.mode == "closed_batch" and self.num_prompts is not None:
            raise refuse_setting(
                "num_prompts", self.num_prompts, "left out: a closed batch has its batch size"
            )
        if self.mode != "serving" and (self.request_rate is not None or self.burstiness != 1):
            raise InvalidConfigError("request_rate and burstiness need mode=serving")

    @property
    def max_len(self) -> int:
        """Most tokens a request can have, prompt and generated."""
        if self.dataset_max_len is not None:
            return self.dataset_max_len
        return longest(self.input_len, self) + longest(self.output_len, self)

    def n_requests(self, batch_size: int) -> int:
        """Requests of one pass with ``batch_size`` in flight."""
        if self.mode == "closed_batch":
            return batch_size
        return self.num_prompts or max(_PASSES_IN_FLIGHT * batch_size, _FEWEST_REQUESTS)

    def to_knobs(self) -> dict[str, Knob]:
        """Return what a record has no field for, as knobs; what is at its default is left out."""
        settings: dict[str, Knob] = {
            "dataset_name": self.dataset_name,
            "dataset_digest": self.dataset_digest,
            "length_distribution": self.length_distribution,
            "length_spread": self.length_spread,
            "num_prompts": self.num_prompts,
            "request_rate": self.request_rate,
            "burstiness": self.burstiness,
        }
        return {
            WORKLOAD_PREFIX + name: value
            for name, value in settings.items()
            if value != getattr(_DEFAULT, name)
        }


_DEFAULT = Workload()
_PASSES_IN_FLIGHT, _FEWEST_REQUESTS = 4, 8
# Log-normal lengths are cut here, so that a start knows the longest sequence it must hold.
_LOGNORMAL_CUT = 4


def longest(mean: int, workload: Workload) -> int:
    """Return the greatest length that the workload's distribution gives around a mean."""
    if workload.length_distribution == "uniform":
        return mean + round(mean * workload.length_spread)
    return mean * (_LOGNORMAL_CUT if workload.length_distribution == "lognormal" else 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Latency limits; ``None`` where there is none."""

    max_ttft_ms: float | None = None
    max_tpot_ms: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_ttft_ms", "max_tpot_ms"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))

    @property
    def is_set(self) -> bool:
        """Whether there is a limit at all."""
        return self.max_ttft_ms is not None or self.max_tpot_ms is not None


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


# A failure counts as missing the limits by more than any run that completed can.
_FAILED, _WORST = 1e6, 1e3


def describe_limits(slo: Slo) -> str:
    """Return the limits in words."""
    limits = {"TTFT": slo.max_ttft_ms, "TPOT": slo.max_tpot_ms}
    return ", ".join(f"mean {k} up to {v:g} ms" for k, v in limits.items() if v is not None)


def excess(record: RunRecord, slo: Slo) -> float:
    """Return by how much the means miss the limits, as shares of them, summed; 0 meets them all.

    An unmeasured latency cannot be shown to meet its limit and counts as the worst miss.
    """
    pairs = ((record.mean_ttft_ms, slo.max_ttft_ms), (record.mean_tpot_ms, slo.max_tpot_ms))
    return sum(
        _WORST / 2 if measured is None else min(max(measured / limit - 1, 0.0), _WORST / 2)
        for measured, limit in pairs
        if limit is not None
    )


def meets(record: RunRecord, slo: Slo) -> bool:
    """Whether it completed with a throughput and within the limits."""
    return record.is_measured and excess(record, slo) == 0


def score(record: RunRecord, slo: Slo) -> float:
    """Return tok/s where the limits are met; below zero, by how far they are missed, where not."""
    if not record.is_measured or record.output_throughput is None:
        return -_FAILED
    missed = excess(record, slo)
    return record.output_throughput if missed == 0 else -missed


def best_of(records: Iterable[RunRecord], slo: Slo) -> RunRecord | None:
    """Return the fastest record that meets the limits."""
    good = [record for record in records if meets(record, slo)]
    return max(good, key=lambda record: record.output_throughput or 0.0, default=None)
