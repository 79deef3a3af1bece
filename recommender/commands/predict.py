"""``autotune predict``: configurations in, predictions out, in the same order."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from autotune.catalog.gpus import find_gpu
from autotune.errors import AutotuneError, InvalidRecordError, UsageError
from autotune.schema.codec import parse_json_object, read_lines
from autotune.schema.configuration import Configuration
from autotune.schema.record import configuration_from_dict
from recommender.commands.context import Context, contexts
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.evaluate_candidates import evaluate_candidates
from recommender.recommendation.query import Query

_PREDICTED: Final = (
    "output_throughput",
    "low",
    "high",
    "p_feasible",
    "fits",
    "ttft_ms",
    "tpot_ms",
    "memory_gb",
    "bottleneck",
    "confidence",
    "status",
)


def predict_file(
    path: Path,
    tracking_uri: str,
    like: str | None = None,
    on_remark: Callable[[str], None] = lambda remark: None,
) -> list[dict[str, Any]]:
    """Return each line's configuration with its prediction added, as ``recommend`` gives it.

    Lines are RunRecords or their configuration part alone; results in them are ignored. What the
    store holds of a configuration stands in the place of its prediction.

    Args:
        like: Model whose architecture those have that are known by their names alone.
        on_remark: Told what the user should know of the models and the surrogate.

    Raises:
        InvalidRecordError: For a line that is not a configuration; names file and line.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    lines = list(read_lines(path))
    if not lines:
        raise UsageError(f"{path} holds no configurations")
    context_of = contexts(tracking_uri, like)
    read = [_configuration(path, number, line, context_of) for number, line in lines]
    for remark in dict.fromkeys(text for _, context in read for text in context.remarks):
        on_remark(remark)
    configurations = [configuration for configuration, _ in read]
    landscapes: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for index, asked in enumerate(configurations):
        landscapes[asked.model, asked.gpu, asked.engine].append(index)
    rows: dict[int, dict[str, Any]] = {}
    for (model, gpu, engine), indices in landscapes.items():
        context = context_of(model)
        candidates = evaluate_candidates(
            [configurations[i] for i in indices],
            context.predictor,
            context.evidence(gpu, [engine]),
            Query(model=model, target_gpu=gpu),
        )
        for index, candidate in zip(indices, candidates, strict=True):
            rows[index] = _row(configurations[index], candidate)
    return [rows[index] for index in range(len(configurations))]


def _configuration(
    path: Path, number: int, line: str, context_of: Callable[[str], Context]
) -> tuple[Configuration, Context]:
    """Return a line's configuration under the names that records carry, and what is known of it."""
    try:
        asked = configuration_from_dict(parse_json_object(line))
        context = context_of(asked.model)
        gpu = find_gpu(asked.gpu).name
        return dataclasses.replace(asked, model=context.model, gpu=gpu), context
    except AutotuneError as error:
        raise InvalidRecordError(f"{path}:{number}: {error}") from error


def _row(configuration: Configuration, candidate: Candidate) -> dict[str, Any]:
    row = {k: v for k, v in dataclasses.asdict(configuration).items() if v not in (None, {})}
    return row | {name: getattr(candidate, name) for name in _PREDICTED}
