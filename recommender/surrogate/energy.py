"""Joules a generated token: what a GPU draws idle, and what its busy parts draw on top.

The form is the energy roofline (Choi, Bedard, Fowler, Vuduc, "A roofline model of energy", IPDPS
2013): constant power x time + energy an operation + energy a byte, under a power cap. Its shares of
the board's power (TDP) come from outside, none of them from runs of this project:

- at full arithmetic rate 0.65, at full memory rate 0.40: that paper's GTX 580, 244 W, with
  99.7 pJ a FLOP at 1.58 TFLOP/s (158 W) and 513 pJ a byte at 192 GB/s (99 W);
- constant 0.17: of an H100's 700 W about 75 W that its idle board reports, and 45 W for a CUDA
  context, which adds 26-50 W on boards with HBM ("The Model Parking Tax", arXiv 2605.23918).

A full rate is the textbook efficiency of the roofline's, since under the cap no kernel sustains
more. Nothing else is known of fans, clocks or voltage: runs of the user that metered power correct
the level, those of the same GPU first.
"""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.features.placement import run_of_one_replica
from recommender.features.roofline import CONSTANTS, IDEAL, roofline
from recommender.features.spec_sheets import gpu_of
from recommender.features.table import Array, ConfigurationTable
from recommender.surrogate.evidence import gather
from recommender.surrogate.gaussian_process import Hyper, posterior

CONSTANT_SHARE: Final = 0.17
ARITHMETIC_SHARE: Final = 0.65
MEMORY_SHARE: Final = 0.40
# Variances of log(metered / physics): a board's own level varies most.
SPREAD: Final = Hyper(
    harness=0.01,
    shape=0.01,
    gpu=0.03,
    gpu_shape=0.01,
    model=0.01,
    model_shape=0.005,
    cell=0.005,
    cell_shape=0.005,
    noise=0.005,
)
_FREE: Final = 1e15
_LINK: Final = {"link_efficiency": _FREE}
_ARITHMETIC: Final = ("decode_efficiency", "prefill_efficiency")
_MEMORY: Final = ("weight_efficiency", "kv_efficiency")


def joules_per_token(
    configurations: Sequence[Configuration], throughput: Array, known: Sequence[RunRecord] = ()
) -> Array:
    """Return J per generated token over all GPUs of a replica, shape (n,).

    NaN on a CPU, whose power no catalogue gives.

    Args:
        configurations: n configurations.
        throughput: Their generated tokens/s, shape (n,).
        known: Runs of the user; those that metered power correct the physics.
    """
    metered = [run for run in map(run_of_one_replica, known) if metered_power(run) is not None]
    knowledge = gather(configurations, metered)
    throughput = throughput / knowledge.replicas
    power = power_w(configurations, knowledge.inputs, throughput)
    ran = [knowledge.runs[i] for i in knowledge.measured]
    speed = np.array([run.output_throughput for run in ran], dtype=np.float64)
    drawn = np.array([metered_power(run) for run in ran], dtype=np.float64)
    physics = power_w(ran, knowledge.run_facts.take(knowledge.measured), speed)
    on_gpus = np.isfinite(physics)
    shift, _ = posterior(
        SPREAD,
        knowledge.run_cells.take(knowledge.measured[on_gpus]),
        np.log(drawn[on_gpus] / physics[on_gpus]),
        knowledge.cells,
    )
    joules: Array = power * np.exp(shift) / throughput
    return joules


def metered_power(run: RunRecord) -> float | None:
    """Return the mean power of a run in W, all its GPUs together; ``None`` where unmeasured."""
    if run.energy_j_per_token is not None and run.output_throughput is not None:
        return run.energy_j_per_token * run.output_throughput
    return run.mean_power_w


def metered_energy(run: RunRecord) -> float | None:
    """Return the J a generated token of a run; ``None`` where unmeasured."""
    power = metered_power(run)
    if power is None or run.output_throughput is None:
        return None
    return power / run.output_throughput


def power_w(
    configurations: Sequence[Configuration], inputs: ConfigurationTable, throughput: Array
) -> Array:
    """Return the physics' mean power of a replica in W, shape (n,); NaN on a CPU.

    Args:
        inputs: Of the configurations.
        throughput: Generated tokens/s, shape (n,): slower than the roofline is less busy.
    """
    specs = [gpu_of(configuration.gpu) for configuration in configurations]
    tdp = np.array([np.nan if spec.vendor == "cpu" else spec.tdp_w for spec in specs])
    line = roofline(inputs, CONSTANTS)
    round_s = line.shares_s.sum(axis=1) * line.throughput / throughput
    arithmetic, memory = (
        np.minimum(busy_s(inputs, names) / round_s, 1.0) for names in (_ARITHMETIC, _MEMORY)
    )
    dynamic = ARITHMETIC_SHARE * arithmetic + MEMORY_SHARE * memory
    # a pipeline's shards work one at a time
    working = np.where(inputs.is_engine("hf"), 1.0, inputs["n_gpus"])
    share = inputs["n_gpus"] * CONSTANT_SHARE + working * np.minimum(dynamic, 1 - CONSTANT_SHARE)
    power: Array = tdp * share
    return power


def busy_s(inputs: ConfigurationTable, names: Sequence[str]) -> Array:
    """Return the seconds a round would take if only these parts of the hardware took time, (n,).

    Args:
        names: Efficiencies of the roofline that belong to the part.
    """
    rest = dict.fromkeys((*_ARITHMETIC, *_MEMORY), _FREE)
    part: Mapping[str, float] = {name: CONSTANTS[name] for name in names}
    seconds: Array = roofline(inputs, {**IDEAL, **_LINK, **rest, **part}).shares_s.sum(axis=1)
    return seconds
