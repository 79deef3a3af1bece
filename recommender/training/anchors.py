"""Anchors: configurations whose prediction a refinement holds where it was.

They are spread over the catalogue's models and over GPUs of every generation.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autotune.catalog.models import catalogue_names
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord

N_ANCHORS: Final = 512
# Named, and not the whole catalogue: a sheet more, be it the user's own, must not change what the
# same runs teach.
ANCHOR_GPUS: Final = (
    "V100-32GB", "V100-16GB", "V100-PCIe-32GB", "V100-PCIe-16GB", "T4", "A10", "A10G", "A30",
    "A40", "A100-40GB", "A100-80GB", "A100-40GB-PCIe", "A100-80GB-PCIe", "A800-80GB",
    "RTX-A6000", "RTX-3090", "L4", "L40", "L40S", "RTX-4090", "RTX-6000-Ada", "H100-80GB",
    "H100-PCIe", "H100-NVL", "H800", "H20", "H200", "H200-NVL", "GH200", "GH200-144GB", "B200",
    "GB200", "B300", "RTX-PRO-6000", "RTX-5090", "MI210", "MI250", "MI250X", "MI300X", "MI325X",
    "MI355X", "Max1550", "Gaudi2",
)  # fmt: skip
_ENGINES: Final = ("vllm", "hf")


def anchors_for(
    own: Sequence[RunRecord], before: Sequence[RunRecord], seed: int
) -> list[Configuration]:
    """Return what to keep as it was said of: much of the catalogue, and some of the rows before."""
    drawn = np.random.default_rng(seed).permutation(len(before))[:N_ANCHORS]
    return [*anchor_configurations(seed, own), *(before[i] for i in sorted(drawn.tolist()))]


def anchor_configurations(seed: int, own: Sequence[RunRecord]) -> list[Configuration]:
    """Return configurations drawn over models, GPUs, engines, GPU counts and batch sizes.

    They carry the engine versions of the user's own runs, or the trees would tell the two apart by
    that alone.
    """
    rng = np.random.default_rng(seed)
    versions = {
        engine: sorted({r.engine_version for r in own if r.engine == engine and r.engine_version})
        for engine in _ENGINES
    }
    models, gpus = catalogue_names(), ANCHOR_GPUS
    return [
        Configuration(
            engine=engine,
            engine_version=versions[engine][rng.integers(len(versions[engine]))]
            if versions[engine]
            else None,
            model=models[rng.integers(len(models))],
            gpu=gpus[rng.integers(len(gpus))],
            n_gpus=int(2 ** rng.integers(4)),
            batch_size=int(2 ** rng.integers(11)),
            input_len=int(2 ** rng.integers(5, 12)),
            output_len=int(2 ** rng.integers(3, 10)),
        )
        for engine in (_ENGINES[rng.integers(2)] for _ in range(N_ANCHORS))
    ]
