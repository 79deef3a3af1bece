"""Configurations whose prediction a refined surrogate should not change."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from autotune.catalog.gpus import load_gpus
from autotune.catalog.models import catalogue_names
from autotune.schema.record import Configuration, RunRecord

N_ANCHORS: Final = 512
_ENGINES: Final = ("vllm", "hf")


def anchors_beside(
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
    models, gpus = catalogue_names(), list(load_gpus())
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
