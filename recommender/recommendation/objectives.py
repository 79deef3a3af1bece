"""What a candidate is judged by beside its throughput: dollars, joules, latency limits."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Protocol

from autotune.catalog.gpus import find_gpu
from autotune.errors import InvalidConfigError
from autotune.files import read_yaml
from autotune.schema.record import RunRecord
from autotune.schema.validation import check_positive
from autotune.schema.workload import Slo
from recommender.surrogate.predictor import Prediction

_TOKENS = 1e6
_SECONDS_AN_HOUR = 3600.0


def dollars_per_mtok(dollars_an_hour: float, n_gpus: int, output_throughput: float) -> float:
    """Return what a million generated tokens cost.

    Args:
        dollars_an_hour: Of one GPU.
        output_throughput: Tokens/s of the n_gpus together.
    """
    return n_gpus * dollars_an_hour / (output_throughput * _SECONDS_AN_HOUR) * _TOKENS


def gather_prices(options: Sequence[str] = (), file: Path | None = None) -> dict[str, float]:
    """Return catalogue name -> dollars an hour of one GPU; an option wins over the file.

    Args:
        options: ``H100=2.9`` each, by any name of the catalogue.
        file: YAML or JSON, a mapping of the same.

    Raises:
        UnknownGpuError: For a GPU that the catalogue does not hold.
        InvalidConfigError: For a price that is none, a GPU priced twice, or an unreadable file.
    """
    from_file = {} if file is None else _canonical(_read(file), str(file))
    pairs = [_split(option) for option in options]
    return from_file | _canonical(pairs, "--price")


def _split(option: str) -> tuple[str, object]:
    name, equals, text = option.partition("=")
    if not equals or not name.strip():
        raise InvalidConfigError(f"--price {option!r} must look like H100=2.9 ($ an hour of a GPU)")
    try:
        return name.strip(), float(text)
    except ValueError:
        return name.strip(), text


def _read(file: Path) -> list[tuple[str, object]]:
    data = read_yaml(file)
    if not isinstance(data, Mapping):
        raise InvalidConfigError(f"{file} must map GPU names to $ an hour, as in `H100: 2.9`")
    return [(str(name), value) for name, value in data.items()]


def _canonical(pairs: Sequence[tuple[str, object]], where: str) -> dict[str, float]:
    prices: dict[str, float] = {}
    for name, value in pairs:
        check_positive(f"{where}: price of {name}", value)
        assert isinstance(value, int | float)
        gpu = find_gpu(name).name
        if prices.setdefault(gpu, float(value)) != float(value):
            raise InvalidConfigError(
                f"{where}: {gpu} is priced twice, at ${prices[gpu]:g} and ${value:g} an hour"
            )
    return prices


_NORMAL_95: Final = 1.6449


class Timed(Protocol):
    """A prediction, or a candidate made from one."""

    @property
    def output_throughput(self) -> float:
        """Expected tokens/s."""

    @property
    def high(self) -> float:
        """Upper end of the 90 % interval, tokens/s."""

    @property
    def ttft_ms(self) -> float | None:
        """Mean time to the first token."""

    @property
    def tpot_ms(self) -> float | None:
        """Mean time of a token after it; ``None`` where only one is generated."""


def chance_within(prediction: Timed, slo: Slo) -> float:
    """Return the probability to meet the limits.

    Latencies are as uncertain as the throughput, and by the same factor (what slows the one slows
    the others), so that all limits are met as likely as the one most likely missed.
    """
    deviation = math.log(prediction.high / prediction.output_throughput) / _NORMAL_95
    return min(
        (_below(predicted, limit, deviation) for _, predicted, limit in _pairs(prediction, slo)),
        default=1.0,
    )


def chance_measured(prediction: Prediction, run: RunRecord, slo: Slo) -> float:
    """Return the probability once it ran; a latency that was not measured is as unsure as ever."""
    throughput = run.output_throughput or prediction.output_throughput
    seen = dataclasses.replace(
        prediction,
        output_throughput=throughput,
        high=throughput * (1 + (run.throughput_ci95 or 0.0)),
        ttft_ms=run.mean_ttft_ms,
        tpot_ms=run.mean_tpot_ms,
    )
    unseen = dataclasses.replace(
        prediction,
        ttft_ms=None if run.mean_ttft_ms else prediction.ttft_ms,
        tpot_ms=None if run.mean_tpot_ms else prediction.tpot_ms,
    )
    return min(chance_within(seen, slo), chance_within(unseen, slo))


def misses(prediction: Timed, slo: Slo) -> list[tuple[str, float, float]]:
    """Return (TTFT or TPOT, expected ms, limit in ms) of every limit expected to be missed."""
    return [pair for pair in _pairs(prediction, slo) if pair[1] > pair[2]]


def excess(prediction: Timed, slo: Slo) -> float:
    """Return by which factor the worst limit is missed, less one; 0 when all are met."""
    return max((value / limit - 1 for _, value, limit in misses(prediction, slo)), default=0.0)


def _pairs(prediction: Timed, slo: Slo) -> list[tuple[str, float, float]]:
    named = (
        ("TTFT", prediction.ttft_ms, slo.max_ttft_ms),
        ("TPOT", prediction.tpot_ms, slo.max_tpot_ms),
    )
    return [
        (name, value, limit)
        for name, value, limit in named
        if value is not None and limit is not None
    ]


def _below(predicted: float, limit: float, deviation: float) -> float:
    """Return the probability that a log-normal with this median stays under the limit."""
    z = math.log(limit / predicted) / max(deviation, 1e-6)
    return 0.5 * math.erfc(-z / math.sqrt(2))
