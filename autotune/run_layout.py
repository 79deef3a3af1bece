"""How a RunRecord lies in an MLflow run: which field is a param, a metric or a tag, and back."""

import json
from collections.abc import Mapping
from typing import Any

from autotune.records import CONFIGURATION_FIELDS, METRIC_FIELDS, RunRecord
from autotune.spec import SEARCH_SETTINGS

KIND, RECORD_ID, STUDY_ID = "autotune.kind", "autotune.record_id", "autotune.session_id"
PARENT = "mlflow.parentRunId"
_INT_METRICS = frozenset({"repeats", "kv_cache_tokens"})
_INT_PARAMS = frozenset({"n_gpus", "batch_size", "input_len", "output_len"})
_TEXT_TAGS = ("source", "run_key", "status", "purpose", "session_id", "started_at", "notes")
# Circumstances that people filter by; the whole environment is a tag of its own.
_BROWSED = ("engine_reuse", "weights", "measuring_tool")
_PARAMS = tuple(name for name in CONFIGURATION_FIELDS if name != "knobs")


def short_name(model: str) -> str:
    """Return a model's name without its organisation."""
    return model.rpartition("/")[2]


def run_name(record: RunRecord) -> str:
    """Return the name a person would give the run."""
    return (
        f"{short_name(record.model)} · {record.engine} · {record.n_gpus}x{record.gpu} · "
        f"bs {record.batch_size}"
    )


def params_of(record: RunRecord) -> dict[str, str]:
    """Return the configuration as MLflow params; nulls are left out."""
    params = {name: str(value) for name in _PARAMS if (value := getattr(record, name)) is not None}
    return params | {f"knobs.{name}": json.dumps(v)[:6000] for name, v in record.knobs.items()}


def tags_of(record: RunRecord) -> dict[str, str]:
    """Return the circumstances as MLflow tags."""
    tags = {
        KIND: "configuration",
        RECORD_ID: record.record_id,
        "mlflow.runName": run_name(record),
        "suspect": str(record.suspect).lower(),
        "environment": json.dumps(dict(record.environment), separators=(",", ":")),
    }
    if record.session_id is not None:
        tags[STUDY_ID] = record.session_id
    tags |= {k: str(v) for k, v in record.environment.items() if k in _BROWSED}
    for name in _TEXT_TAGS:
        if getattr(record, name) is not None:
            tags[name] = str(getattr(record, name))
    return tags


def metrics_of(record: RunRecord) -> dict[str, float]:
    """Return what was measured as MLflow metrics; nulls are left out."""
    values = {name: getattr(record, name) for name in METRIC_FIELDS}
    return {name: float(value) for name, value in values.items() if value is not None}


def study_id_of(record: RunRecord) -> str:
    """Return the study of a record; imported rows without one make one study a source."""
    return record.session_id or f"imported-{record.source}"


def study_tags(record: RunRecord) -> dict[str, str]:
    """Return the tags of the parent run that a record belongs to."""
    imported = f"import · {record.source}"
    named = f"{short_name(record.model)} · study · {record.gpu}"
    return {
        KIND: "study",
        STUDY_ID: study_id_of(record),
        "source": record.source,
        "mlflow.runName": named if record.session_id else imported,
    }


def study_params(record: RunRecord) -> dict[str, str]:
    """Return the params of the parent run: what a study has in common, and how it searched."""
    params = {"model": record.model, "gpu": record.gpu} if record.session_id else {}
    params |= {k: record.environment[k] for k in SEARCH_SETTINGS if k in record.environment}
    return {name: str(value) for name, value in params.items()}


def record_of(
    params: Mapping[str, str], tags: Mapping[str, str], metrics: Mapping[str, float]
) -> RunRecord:
    """Return the record that a run with these params, tags and metrics was made from.

    Raises:
        InvalidRecordError: When the run was changed into something that is not a record.
    """
    row: dict[str, Any] = {name: params[name] for name in _PARAMS if name in params}
    row |= {name: int(row[name]) for name in _INT_PARAMS if name in row}
    row["knobs"] = {
        name.removeprefix("knobs."): json.loads(value)
        for name, value in params.items()
        if name.startswith("knobs.")
    }
    row |= {name: tags[name] for name in _TEXT_TAGS if name in tags}
    row |= {name: metrics[name] for name in METRIC_FIELDS if name in metrics}
    row |= {name: int(row[name]) for name in _INT_METRICS if name in row}
    row["suspect"] = tags.get("suspect") == "true"
    row["environment"] = json.loads(tags.get("environment", "{}"))
    return RunRecord.from_dict(row)
