"""Beliefs that tests are made from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Believed:
    """What is believed of a configuration."""

    output_throughput: float
    high: float
    p_feasible: float = 1.0
    memory_gb: float = 1.0


def believed(
    throughput: float, *, factor: float = 1.5, p_feasible: float = 1.0, memory_gb: float = 1.0
) -> Believed:
    """Return a belief whose 90 % interval ends at ``factor`` times its median."""
    return Believed(throughput, throughput * factor, p_feasible, memory_gb)
