"""``autotune predict``: configurations in, predictions out, in the same order."""

import dataclasses
from collections import defaultdict
from pathlib import Path
from typing import Any

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import identify_model, remember_recorded
from autotune.errors import AutotuneError, InvalidRecordError, UsageError
from autotune.schema.codec import parse_json_object, read_lines
from autotune.schema.configuration import Configuration
from autotune.schema.record import configuration_from_dict
from autotune.store.cache import RecordCache, store_directory
from recommender.surrogate.in_force import load_predictor
from recommender.surrogate.predictor import Prediction


def predict_file(path: Path, tracking_uri: str) -> list[dict[str, Any]]:
    """Return each line's configuration with its prediction added.

    Lines are RunRecords or their configuration part alone; results in them are ignored.

    Raises:
        InvalidRecordError: For a line that is not a configuration; names file and line.
    """
    if not path.is_file():
        raise UsageError(f"{path} is not a file")
    lines = list(read_lines(path))
    if not lines:
        raise UsageError(f"{path} holds no configurations")
    known = RecordCache(store_directory(tracking_uri)).read() or []
    remember_recorded(known)
    configurations = [_configuration(path, number, line) for number, line in lines]
    by_model: dict[str, list[int]] = defaultdict(list)
    for index, configuration in enumerate(configurations):
        by_model[configuration.model].append(index)
    predictor = load_predictor(store_directory(tracking_uri))
    rows: dict[int, dict[str, Any]] = {}
    for model, indices in by_model.items():
        own = [record for record in known if record.model == model]
        predictions = predictor.predict([configurations[i] for i in indices], own)
        for index, prediction in zip(indices, predictions, strict=True):
            rows[index] = _row(configurations[index], prediction)
    return [rows[index] for index in range(len(configurations))]


def _configuration(path: Path, number: int, line: str) -> Configuration:
    try:
        configuration = configuration_from_dict(parse_json_object(line))
        return dataclasses.replace(
            configuration,
            model=identify_model(configuration.model).name,
            gpu=find_gpu(configuration.gpu).name,
        )
    except AutotuneError as error:
        raise InvalidRecordError(f"{path}:{number}: {error}") from error


def _row(configuration: Configuration, prediction: Prediction) -> dict[str, Any]:
    row = {k: v for k, v in dataclasses.asdict(configuration).items() if v not in (None, {})}
    return row | {
        "output_throughput": prediction.output_throughput,
        "low": prediction.low,
        "high": prediction.high,
        "p_feasible": prediction.p_feasible,
        "fits": prediction.fits,
        "ttft_ms": prediction.ttft_ms,
        "tpot_ms": prediction.tpot_ms,
        "memory_gb": prediction.memory_gb,
        "bottleneck": prediction.bottleneck,
        "confidence": prediction.confidence,
    }
