"""Configurations as columns of numbers: what the roofline and the features are computed from."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from autotune.catalog.architecture.profile import ModelProfile
from autotune.catalog.memory import MemoryPlan, plan_memory
from autotune.errors import (
    InvalidConfigError,
    InvalidModelConfigError,
    UnknownGpuError,
    UnknownModelError,
)
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from autotune.schema.validation import ENGINES
from recommender.features.spec_sheets import (
    GPU_COLUMNS,
    MODEL_COLUMNS,
    gpu_of,
    kv_format,
    model_of,
    static_numbers,
    weight_format,
)

Array = NDArray[np.float64]

DEFAULT_INPUT_LEN: Final = 256
DEFAULT_OUTPUT_LEN: Final = 128
# InfPop varied the batch but left vLLM's max_num_seqs at what was then its default.
_DEFAULT_CAP_SOURCES: Final = ("infpop",)
_OLD_DEFAULT_MAX_NUM_SEQS: Final = 256.0
_EARLY_YEARS: Final = ("2023", "2024")
_EARLY_BEFORE: Final = 6.0
# vLLM captures CUDA graphs of decode steps of up to so many sequences ("CUDA Graphs", vLLM
# documentation: max_cudagraph_capture_size).
_DEFAULT_CAPTURED: Final = 512.0
_VERSION = re.compile(r"(\d{1,2})\.(\d{1,3})\b")
_RUN_COLUMNS = (
    "engine",
    "is_serving",
    "n_gpus",
    "batch_size",
    "in_flight",
    "input_len",
    "output_len",
    "input_len_unknown",
    "memory_total_gb",
    "memory_available_gb",
    "memory_per_sequence_gb",
    "max_sequences",
    "captured",
    "fits",
    "version",
    "is_early",
)
FAMILIES: Final = ("hf", "vllm", "other")
COLUMNS: Final = (*MODEL_COLUMNS, *GPU_COLUMNS, *_RUN_COLUMNS)
_INDEX: Final = {name: column for column, name in enumerate(COLUMNS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationTable:
    """Numbers of ``n`` configurations; ``table["hidden"]`` is one column of shape (n,).

    Units: parameters and lengths are counts, ``*_bytes`` bytes, ``bandwidth`` and ``interconnect``
    bytes/s, ``flops`` floating-point operations/s of one GPU at the weights' precision.
    """

    table: Array

    def __getitem__(self, name: str) -> Array:
        column: Array = self.table[:, _INDEX[name]]
        return column

    def __len__(self) -> int:
        return len(self.table)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_]) -> "ConfigurationTable":
        """Return some rows."""
        return ConfigurationTable(table=self.table[rows])

    def is_engine(self, name: str) -> NDArray[np.bool_]:
        """Return which rows run on this engine, shape (n,)."""
        mask: NDArray[np.bool_] = self["engine"] == ENGINES.index(name)
        return mask


def families_of(inputs: ConfigurationTable) -> NDArray[np.int64]:
    """Return the index into FAMILIES of each row: engines that err alike, shape (n,)."""
    other = np.where(inputs.is_engine("vllm"), FAMILIES.index("vllm"), FAMILIES.index("other"))
    return np.where(inputs.is_engine("hf"), FAMILIES.index("hf"), other)


def collect(
    configurations: Sequence[Configuration], *, source: str | None = None
) -> ConfigurationTable:
    """Look every model and GPU up and return the numbers, shape (n, len(COLUMNS)).

    Args:
        configurations: n configurations or RunRecords.
        source: Whose harness configurations without a source of their own will run in, if known.

    Raises:
        UnknownGpuError, UnknownModelError: For a name that the catalogue does not hold.
    """
    rows = [_row(configuration, source) for configuration in configurations]
    return ConfigurationTable(
        table=np.array(rows, dtype=np.float64).reshape(len(rows), len(COLUMNS))
    )


@lru_cache(maxsize=65_536)
def memory_plan(
    engine: str,
    model: str,
    gpu: str,
    n_gpus: int,
    batch_size: int,
    sequence_len: int,
    dtype: str,
    kv_dtype: str,
    utilization: float | None,
) -> MemoryPlan:
    """Return autotune.memory's plan, remembered: searches ask for the same ones again."""
    chosen = {} if utilization is None else {"gpu_memory_utilization": utilization}
    return plan_memory(
        model_of(model),
        gpu_of(gpu),
        engine=engine,
        n_gpus=n_gpus,
        batch_size=batch_size,
        sequence_len=sequence_len,
        dtype=dtype,
        kv_dtype=kv_dtype,
        **chosen,
    )


def keep_up_with(profile: ModelProfile) -> None:
    """Drop what is remembered of models where one of this name was another."""
    if model_of(profile.name) != profile:
        for remembered in (model_of, static_numbers, memory_plan):
            remembered.cache_clear()


def plan_of(configuration: Configuration) -> MemoryPlan:
    """Return the memory plan of a configuration, with default lengths where it names none."""
    input_len, output_len = lengths(configuration)
    utilization = configuration.knobs.get("gpu_memory_utilization")
    return memory_plan(
        configuration.engine,
        configuration.model,
        configuration.gpu,
        configuration.n_gpus,
        configuration.batch_size,
        input_len + output_len,
        weight_format(configuration),
        kv_format(configuration),
        float(utilization) if isinstance(utilization, int | float) else None,
    )


def lengths(configuration: Configuration) -> tuple[int, int]:
    """Return (input_len, output_len) in tokens, defaults where the source does not say."""
    return (
        configuration.input_len or DEFAULT_INPUT_LEN,
        configuration.output_len or DEFAULT_OUTPUT_LEN,
    )


def _limit(configuration: Configuration, source: str | None) -> float:
    """Return the most sequences that the engine's own setting, or the harness, lets run at once."""
    cap = configuration.knobs.get("max_num_seqs")
    if isinstance(cap, int | float):
        return float(cap)
    harness = getattr(configuration, "source", None) or source or ""
    if configuration.engine == "vllm" and harness.startswith(_DEFAULT_CAP_SOURCES):
        return _OLD_DEFAULT_MAX_NUM_SEQS
    return math.inf


def _captured(configuration: Configuration) -> float:
    """Return the most sequences whose decode step replays a CUDA graph; infinite where unknown.

    Early vLLM captured 256, but its Python cost more than what a graph saves.
    """
    early = _is_early(configuration.engine, configuration.engine_version)
    on_processor = gpu_of(configuration.gpu).vendor == "cpu"
    if configuration.engine != "vllm" or early or on_processor:
        return math.inf
    if configuration.knobs.get("enforce_eager") is True:
        return 0.0
    size = configuration.knobs.get("max_cudagraph_capture_size")
    return float(size) if isinstance(size, int | float) else _DEFAULT_CAPTURED


def _row(configuration: Configuration, source: str | None) -> tuple[float, ...]:
    is_hf = configuration.engine == "hf"
    static = static_numbers(
        configuration.model,
        configuration.gpu,
        weight_format(configuration),
        kv_format(configuration),
        is_hf,
    )
    input_len, output_len = lengths(configuration)
    plan = plan_of(configuration)
    return (
        *static,
        ENGINES.index(configuration.engine),
        configuration.mode != "closed_batch",  # requests come one by one in a stream too
        configuration.n_gpus,
        configuration.batch_size,
        min(configuration.batch_size, _limit(configuration, source)),
        input_len,
        output_len,
        configuration.input_len is None,
        plan.total_gb,
        max(plan.available_gb, 1e-3),
        (plan.kv_gb + plan.activations_gb) / configuration.batch_size,
        max(float(plan.max_sequences), 1.0),
        _captured(configuration),
        plan.fits,
        _version(configuration.engine_version),
        _is_early(configuration.engine, configuration.engine_version),
    )


def _is_early(engine: str, text: str | None) -> bool:
    """Return whether a version is vLLM's before 0.6, or the year of a study that names none."""
    plain = text or ""
    return plain.startswith(_EARLY_YEARS) or (engine == "vllm" and _version(text) < _EARLY_BEFORE)


def _version(text: str | None) -> float:
    """Return a vLLM-like "0.18.0" as 18.0, "1.2.0" as 102.0; NaN where there is no such number."""
    match = _VERSION.match(text or "")
    return 100.0 * int(match[1]) + int(match[2]) if match else math.nan


def is_catalogued(record: RunRecord) -> bool:
    """Return whether the record's model, GPU and formats can be looked up."""
    try:
        collect([record])
    except (UnknownGpuError, UnknownModelError, InvalidModelConfigError, InvalidConfigError):
        return False
    return True
