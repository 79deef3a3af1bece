"""What the trees see: the roofline's own view of a configuration and the numbers behind it."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autotune.schema.configuration import Configuration
from autotune.schema.validation import ENGINES
from recommender.features.roofline import BOTTLENECKS, CONSTANTS, roofline
from recommender.features.table import Array, ConfigurationTable, collect

_LOGS: Final = (
    "n_gpus",
    "in_flight",
    "input_len",
    "output_len",
    "params",
    "active_params",
    "layers",
    "hidden",
    "vocab",
    "kv_bytes_per_token",
    "memory_gb",
    "bandwidth",
    "flops",
    "interconnect",
)
_PLAIN: Final = ("is_serving", "is_amd", "is_other_vendor", "year", "version", "input_len_unknown")
FEATURE_NAMES: Final = (
    *(f"log_{name}" for name in _LOGS),
    *_PLAIN,
    *(f"share_{name}" for name in BOTTLENECKS),
    *(f"is_{name}" for name in ENGINES),
    "log_bytes_per_param",
    "log_heads_per_kv_head",
    "log_flops_per_byte",
    "log_sparsity",
    "log_tpot_s",
    "log_memory_pressure",
    "log_waiting",
)


def encode(configurations: Sequence[Configuration]) -> Array:
    """Return the features of configurations, shape (n, len(FEATURE_NAMES)); NaN is unknown."""
    return encode_features(collect(configurations))


def encode_features(inputs: ConfigurationTable) -> Array:
    """Return the features of rows already looked up, shape (n, len(FEATURE_NAMES)).

    The roofline here has its textbook constants, so that features mean the same for any fit.
    """
    ideal = roofline(inputs, CONSTANTS)
    shares = ideal.shares_s / ideal.shares_s.sum(axis=1, keepdims=True)
    derived = (
        np.log(inputs["weight_bytes"] / inputs["params"]),
        np.log(inputs["heads"].clip(min=1) / inputs["kv_heads"].clip(min=1)),
        np.log(inputs["flops"] / inputs["bandwidth"]),
        np.log(inputs["active_params"] / inputs["params"]),
        np.log(ideal.tpot_s),
        np.log(inputs["memory_total_gb"] / inputs["memory_available_gb"]).clip(-5, 5),
        np.log(inputs["in_flight"] / ideal.in_flight),
    )
    engines = (inputs.is_engine(name) for name in ENGINES)
    return np.column_stack(
        (
            *(np.log(inputs[name].clip(min=1e-9)) for name in _LOGS),
            *(inputs[name] for name in _PLAIN),
            shares,
            *engines,
            *derived,
        )
    )
