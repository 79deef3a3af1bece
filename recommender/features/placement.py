"""How a configuration lies on its GPUs: offloaded weights, replicas."""

import dataclasses
from typing import Any, Final

import numpy as np

from autotune.errors import InvalidModelConfigError, UnknownModelError
from autotune.schema.configuration import CONFIGURATION_FIELDS, Configuration
from autotune.schema.engine_config import parallel_sizes
from autotune.schema.record import RunRecord
from recommender.features.spec_sheets import model_of
from recommender.features.table import Array, ConfigurationTable

_GB: Final = 2.0**30
_LONE_USABLE: Final = 0.9
_SHARED_USABLE: Final = 0.97  # all but the CUDA context
_MEAN_GAP: Final = 0.5


def outside_bytes(inputs: ConfigurationTable) -> Array:
    """Return the bytes of weights kept on the host, shape (n,); 0 for every other engine."""
    usable = np.where(inputs["n_gpus"] > 1, _SHARED_USABLE, _LONE_USABLE)
    room = inputs["n_gpus"] * inputs["memory_gb"] * _GB * usable - layer_bytes(inputs)
    can_offload = inputs.is_engine("hf") & (inputs["is_cpu"] == 0)
    return np.where(can_offload, (inputs["weight_bytes"] - room).clip(min=0.0), 0.0)


def layer_bytes(inputs: ConfigurationTable) -> Array:
    """Return the bytes of one decoder layer, shape (n,)."""
    decoders = (inputs["params"] - inputs["vocab"] * inputs["hidden"]).clip(min=1.0)
    each: Array = decoders / inputs["layers"] * inputs["weight_bytes"] / inputs["params"]
    return each


def gap_gb(inputs: ConfigurationTable) -> Array:
    """Return the 2**30 bytes that a GPU has left beside its weights where some are on the host.

    Several GPUs are filled until the next layer does not fit: half a layer is left on average.
    """
    layer = layer_bytes(inputs) / _GB
    lone = (_SHARED_USABLE - _LONE_USABLE) * inputs["memory_gb"] + layer
    return np.where(inputs["n_gpus"] > 1, _MEAN_GAP * layer, lone)


_KNOB = "data_parallel_size"


def replicas_of(configuration: Configuration) -> int:
    """Return the number of independent engines; 1 for a model that cannot be looked up."""
    replicas = parallel_sizes(configuration.n_gpus, configuration.knobs).data
    if replicas == 1:
        return 1
    try:
        return 1 if model_of(configuration.model).n_experts else replicas
    except (UnknownModelError, InvalidModelConfigError):
        return 1


def busy_replicas(configuration: Configuration) -> int:
    """Return how many engines have requests; their throughputs add up to the server's."""
    return min(replicas_of(configuration), configuration.batch_size)


def one_replica(configuration: Configuration) -> Configuration:
    """Return the configuration of one engine that has requests, the fullest of them."""
    replicas = replicas_of(configuration)
    if replicas == 1:
        return configuration
    fields: dict[str, Any] = {name: getattr(configuration, name) for name in CONFIGURATION_FIELDS}
    fields["n_gpus"] = configuration.n_gpus // replicas
    fields["batch_size"] = -(-configuration.batch_size // busy_replicas(configuration))
    fields["knobs"] = {k: v for k, v in configuration.knobs.items() if k != _KNOB}
    return Configuration(**fields)


def start_of_replicas(configuration: Configuration, replicas: int) -> Configuration:
    """Return the vLLM start that serves so many replicas of a configuration behind one address."""
    if replicas == 1:
        return configuration
    fields: dict[str, Any] = {name: getattr(configuration, name) for name in CONFIGURATION_FIELDS}
    fields["n_gpus"] = configuration.n_gpus * replicas
    fields["batch_size"] = configuration.batch_size * replicas
    fields["knobs"] = {**configuration.knobs, _KNOB: replicas}
    return Configuration(**fields)


def run_of_one_replica(run: RunRecord) -> RunRecord:
    """Return the run as one of its engines that had requests saw it.

    Energy is every GPU's, so nothing is known of it where some idled.
    """
    replicas, busy = replicas_of(run), busy_replicas(run)
    if replicas == 1:
        return run
    alone = one_replica(run)
    is_shared = busy == replicas
    return dataclasses.replace(
        run,
        n_gpus=alone.n_gpus,
        batch_size=alone.batch_size,
        knobs=alone.knobs,
        output_throughput=_share(run.output_throughput, busy),
        total_throughput=_share(run.total_throughput, busy),
        request_throughput=_share(run.request_throughput, busy),
        energy_j_per_token=run.energy_j_per_token if is_shared else None,
        mean_power_w=_share(run.mean_power_w, replicas) if is_shared else None,
        kv_cache_tokens=None if run.kv_cache_tokens is None else run.kv_cache_tokens // replicas,
        run_key=None,
    )


def _share(value: float | None, parts: int) -> float | None:
    return None if value is None else value / parts
