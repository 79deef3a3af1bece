"""Where a Hugging Face pipeline keeps its weights: on the GPUs, and what does not fit on the host.

As Accelerate's ``device_map="auto"`` does it (``get_balanced_memory``, ``infer_auto_device_map``):
whole layers one after the other; a lone GPU is filled to 90 %, several are filled to the brim where
the weights need that; the first keeps room for one more layer, to fetch those from the host into.
"""

from typing import Final

import numpy as np

from recommender.features.table import Array, Facts

_GB: Final = 2.0**30
_LONE_USABLE: Final = 0.9
_SHARED_USABLE: Final = 0.97  # all but the CUDA context
_MEAN_GAP: Final = 0.5


def outside_bytes(facts: Facts) -> Array:
    """Return the bytes of weights kept on the host, shape (n,); 0 for every other engine."""
    usable = np.where(facts["n_gpus"] > 1, _SHARED_USABLE, _LONE_USABLE)
    room = facts["n_gpus"] * facts["memory_gb"] * _GB * usable - layer_bytes(facts)
    can_offload = facts.is_engine("hf") & (facts["is_cpu"] == 0)
    return np.where(can_offload, (facts["weight_bytes"] - room).clip(min=0.0), 0.0)


def layer_bytes(facts: Facts) -> Array:
    """Return the bytes of one decoder layer, shape (n,)."""
    decoders = (facts["params"] - facts["vocab"] * facts["hidden"]).clip(min=1.0)
    each: Array = decoders / facts["layers"] * facts["weight_bytes"] / facts["params"]
    return each


def gap_gb(facts: Facts) -> Array:
    """Return the 2**30 bytes that a GPU has left beside its weights where some are on the host.

    Several GPUs are filled until the next layer does not fit: half a layer is left on average.
    """
    layer = layer_bytes(facts) / _GB
    lone = (_SHARED_USABLE - _LONE_USABLE) * facts["memory_gb"] + layer
    return np.where(facts["n_gpus"] > 1, _MEAN_GAP * layer, lone)
