"""A query as the command line that asks it."""

import dataclasses
import shlex
from collections.abc import Iterator
from typing import Any, Final

from recommender.recommendation.query import Query

# Fields of a query whose option has another name, or that are no option.
_OPTIONS: Final = ("target_gpu", "source_gpu", "engine", "max_gpus", "max_batch_size", "dtype",
                   "quantization", "objective", "tolerance", "top")  # fmt: skip


def recommend_line(query: Query) -> str:
    """Return the ``autotune recommend`` line that asks the same, defaults left out."""
    return shlex.join(["autotune", "recommend", *_arguments(query)])


def _arguments(query: Query) -> Iterator[str]:
    defaults = {f.name: f.default for f in dataclasses.fields(Query)}
    yield from ("--model", query.model_path or query.model)
    for name in _OPTIONS:
        value = getattr(query, name)
        if value is not None and value != defaults[name]:
            yield from _option(name, value)
    for name in ("input_len", "output_len"):
        yield from _option(name, getattr(query.workload, name))
    for name in ("max_ttft_ms", "max_tpot_ms"):
        if getattr(query.slo, name) is not None:
            yield from _option(name, getattr(query.slo, name))
    for gpu, dollars in query.prices.items():
        yield from ("--price", f"{gpu}={dollars:g}")


def _option(name: str, value: Any) -> tuple[str, str]:
    return f"--{name.replace('_', '-')}", f"{value:g}" if isinstance(value, float) else str(value)
