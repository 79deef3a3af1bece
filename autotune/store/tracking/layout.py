"""How a RunRecord lies in an MLflow run: which field is a param, a metric or a tag, and back."""

import datetime
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from autotune.schema.configuration import CONFIGURATION_FIELDS
from autotune.schema.record import RunRecord, short_name
from autotune.schema.study_spec import SEARCH_SETTINGS
from autotune.schema.validation import METRIC_FIELDS

KIND, RECORD_ID, STUDY_ID = "autotune.kind", "autotune.record_id", "autotune.session_id"
DOCUMENT_ID = "autotune.document_id"
PARENT, NOTE = "mlflow.parentRunId", "mlflow.note.content"
_INT_METRICS = frozenset({"repeats", "kv_cache_tokens"})
_INT_PARAMS = frozenset({"n_gpus", "batch_size", "input_len", "output_len"})
_TEXT_TAGS = ("source", "run_key", "status", "purpose", "session_id", "started_at", "notes")
# Fields that are params too: MLflow's table shows and groups tags by name.
_NAMED_TAGS = ("model", "gpu", "engine")
# Circumstances that people filter by; the whole environment is a tag of its own.
_BROWSED = ("engine_reuse", "weights", "measuring_tool")
_PARAMS = tuple(name for name in CONFIGURATION_FIELDS if name != "knobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a run worked on, as MLflow's datasets have it.

    Attributes:
        digest: Tells two of one name apart.
        context: What it was for: workload, import, training.
    """

    name: str
    digest: str
    context: str
    profile: Mapping[str, Any] = field(default_factory=dict)


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
    for name in (*_TEXT_TAGS, *_NAMED_TAGS):
        if getattr(record, name) is not None:
            tags[name] = str(getattr(record, name))
    if record.status != "completed":
        tags[NOTE] = f"**{record.status.replace('_', ' ')}**\n\n{_quoted(record.notes)}"
    return tags


def _quoted(notes: str | None) -> str:
    """Return an engine's words so that Markdown shows them as they are."""
    return "\n".join(f"    {line}" for line in (notes or "no reason was recorded").splitlines())


def metrics_of(record: RunRecord) -> dict[str, float]:
    """Return what was measured as MLflow metrics; nulls are left out."""
    values = {name: getattr(record, name) for name in METRIC_FIELDS}
    return {name: float(value) for name, value in values.items() if value is not None}


def span_ms(record: RunRecord) -> tuple[int | None, int | None]:
    """Return when a run began and ended, in milliseconds since 1970; ``None`` where unknown."""
    if record.started_at is None:
        return None, None
    try:
        begun = datetime.datetime.fromisoformat(record.started_at)
    except ValueError:
        return None, None
    if begun.tzinfo is None:
        begun = begun.replace(tzinfo=datetime.UTC)
    start = int(begun.timestamp() * 1000)
    return start, start + round(1000 * (record.measure_s or 0.0))


def study_id_of(record: RunRecord) -> str:
    """Return the study of a record; imported rows without one make one study a source."""
    return record.session_id or f"imported-{record.source}"


def study_tags(record: RunRecord) -> dict[str, str]:
    """Return the tags of the parent run that a record belongs to."""
    imported = f"import · {record.source}"
    named = f"{short_name(record.model)} · study · {record.gpu}"
    tags = {
        KIND: "study",
        STUDY_ID: study_id_of(record),
        "source": record.source,
        "mlflow.runName": named if record.session_id else imported,
    }
    if record.session_id:
        tags |= {"model": record.model, "gpu": record.gpu}
    return tags


def study_params(record: RunRecord) -> dict[str, str]:
    """Return the params of the parent run that say how a study searched."""
    return {k: str(v) for k, v in record.environment.items() if k in SEARCH_SETTINGS}


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
