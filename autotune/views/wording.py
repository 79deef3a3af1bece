"""Configurations and what came of them, in a few words for a person."""

from collections.abc import Mapping
from typing import Protocol

from autotune.schema.configuration import Configuration, Knob, engine_knobs
from autotune.schema.record import RunRecord

_LONGEST_NOTE = 160


class Started(Protocol):
    """What an engine start and a configuration have in common."""

    @property
    def engine(self) -> str:
        """The engine's name."""

    @property
    def gpu(self) -> str:
        """Catalogue name."""

    @property
    def n_gpus(self) -> int:
        """GPUs of one replica."""

    @property
    def knobs(self) -> Mapping[str, Knob]:
        """Further engine arguments."""


def describe_start(started: Started) -> str:
    """Return engine, GPUs and knobs."""
    knobs = describe_knobs(started)
    host = f"{started.engine} on {started.n_gpus} x {started.gpu}"
    return f"{host} ({', '.join(knobs)})" if knobs else host


def describe_knobs(started: Started) -> list[str]:
    """Return the engine's own knobs, ``name=value`` each."""
    return [f"{k}={v}" for k, v in engine_knobs(started.knobs).items()]


def describe(configuration: Configuration) -> str:
    """Return a configuration in a few words."""
    return (
        f"{configuration.engine} · {configuration.n_gpus} GPU · "
        f"batch {configuration.batch_size} · {describe_workload(configuration)}"
    )


def describe_workload(configuration: Configuration) -> str:
    """Return the lengths, and how the requests come and vary where it is not the plain way."""
    settings = [f"{name}={value}" for name, value in configuration.workload_knobs.items()]
    parts = [f"{configuration.input_len}/{configuration.output_len}", *settings]
    if configuration.mode != "closed_batch":
        parts.insert(1, configuration.mode)
    return " ".join(parts)


def outcome(record: RunRecord) -> str:
    """Return what came of a configuration in a few words."""
    if record.status != "completed" or record.output_throughput is None:
        first = (record.notes or "").strip().partition("\n")[0]
        return f"{record.status.replace('_', ' ')}: {first[:_LONGEST_NOTE]}"
    spread = "" if record.throughput_ci95 is None else f" ±{record.throughput_ci95:.1%}"
    return f"{record.output_throughput:.1f} tok/s{spread}"


def number(value: float | None, digits: int) -> str:
    """Return a number with so many decimals, or a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def speed(tokens_per_second: float) -> str:
    """Return tokens/s without decimals, or with two digits where they are fewer than ten.

    >>> speed(48113.6), speed(0.0412)
    ('48,114', '0.041')
    """
    if tokens_per_second >= _FEW:
        return f"{tokens_per_second:,.0f}"
    return f"{tokens_per_second:.2g}"


_FEW = 10
