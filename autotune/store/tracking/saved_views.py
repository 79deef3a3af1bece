"""What MLflow's page of runs shows without set-up: its kind, and views with columns and charts.

MLflow keeps saved views in tags of the experiment, the state of the page in each.
"""

import base64
import json
import zlib
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from autotune.store.tracking.layout import KIND

FURNISHED: Final = "autotune.views"
VERSION: Final = "1"
_TAG: Final = "mlflow.sharedViewState."
_CREATED_MS: Final = 1_767_225_600_000
_CONFIGURATION: Final = (
    "model",
    "gpu",
    "engine",
    "n_gpus",
    "batch_size",
    "input_len",
    "output_len",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """One saved view.

    Attributes:
        key: In the address of the page.
        query: MLflow's filter.
        order_by: The column to sort by, the largest first.
        metrics, params, tags: The columns.
        charts: (x, y): a scatter of a param or metric against a metric.
    """

    key: str
    name: str
    query: str
    order_by: str
    metrics: tuple[str, ...]
    params: tuple[str, ...] = _CONFIGURATION
    tags: tuple[str, ...] = ()
    charts: tuple[tuple[str, str], ...] = ()


VIEWS: Final = (
    View(
        key="autotune-configurations",
        name="Configurations, the fastest first",
        query=f"tags.`{KIND}` = 'configuration'",
        order_by="metrics.`output_throughput`",
        metrics=("output_throughput", "throughput_ci95", "mean_ttft_ms", "mean_tpot_ms",
                 "energy_j_per_token", "peak_memory_gb"),
        tags=("purpose", "status"),
        charts=(("batch_size", "output_throughput"), ("mean_tpot_ms", "output_throughput"),
                ("batch_size", "mean_tpot_ms"), ("batch_size", "energy_j_per_token")),
    ),
    View(
        key="autotune-studies",
        name="Studies",
        query=f"tags.`{KIND}` = 'study'",
        order_by="attributes.start_time",
        metrics=("best_output_throughput", "best_n_gpus", "best_batch_size", "n_configurations",
                 "n_failed"),
        params=("strategy", "model", "gpu", "engine", "input_len", "output_len"),
        tags=("source",),
    ),
    View(
        key="autotune-recommendations",
        name="Recommendations and their proof",
        query=f"tags.`{KIND}` = 'recommendation'",
        order_by="attributes.start_time",
        metrics=("predicted_output_throughput", "predicted_low", "predicted_high",
                 "measured_output_throughput", "mean_absolute_error", "regret_bound90"),
        charts=(("predicted_output_throughput", "measured_output_throughput"),),
    ),
    View(
        key="autotune-failures",
        name="Failures and their reasons",
        query="attributes.status = 'FAILED'",
        order_by="attributes.start_time",
        metrics=("engine_start_s",),
        tags=("status", "notes"),
    ),
    View(
        key="autotune-surrogates",
        name="Surrogates and their duels",
        query=f"tags.`{KIND}` = 'training'",
        order_by="attributes.start_time",
        metrics=("challenger_ape", "champion_ape", "challenger_coverage90", "champion_coverage90"),
        params=("rows_used",),
    ),
)  # fmt: skip
_ABOUT: Final = """\
A study is a parent run, each configuration a child; a recommendation is the parent of its
confirmation, which is the parent of the runs that prove it; trainings register the surrogate.
**Views** (above the table) has what people look for: {names}.
"""


def furnishing() -> dict[str, str]:
    """Return the tags of the experiment: its kind, its description, its views."""
    names = "; ".join(view.name for view in VIEWS)
    return {
        "mlflow.experimentKind": "custom_model_development",
        "mlflow.note.content": _ABOUT.format(names=names),
        FURNISHED: VERSION,
        **{_TAG + view.key: _saved(view) for view in VIEWS},
    }


def address(experiment_id: str, view: View, port: int) -> str:
    """Return the address of a view on this machine's server."""
    asked = urlencode({"workflowType": "machine_learning", "viewStateShareKey": view.key})
    return f"http://127.0.0.1:{port}/#/experiments/{experiment_id}/runs?{asked}"


def _saved(view: View) -> str:
    packed = base64.b64encode(zlib.compress(json.dumps(_state(view)).encode())).decode()
    return json.dumps(
        {
            "name": view.name,
            "createdAt": _CREATED_MS,
            "updatedAt": _CREATED_MS,
            "state": f"deflate;{packed}",
        }
    )


def _state(view: View) -> dict[str, Any]:
    state: dict[str, Any] = {
        "searchFilter": view.query,
        "orderByKey": view.order_by,
        "orderByAsc": False,
        "startTime": "ALL",
        "lifecycleFilter": "Active",
        "modelVersionFilter": "All Runs",
        "datasetsFilter": [],
        "selectedColumns": [
            *(f"params.`{name}`" for name in view.params),
            *(f"metrics.`{name}`" for name in view.metrics),
            *(f"tags.`{name}`" for name in view.tags),
        ],
        "runsHiddenMode": "SHOWALL",
        "hideEmptyCharts": True,
    }
    if view.charts:
        state |= {
            "compareRunSections": [
                {"uuid": view.key, "name": view.name, "display": True, "isReordered": False}
            ],
            "compareRunCharts": [
                _chart(view, number, x, y) for number, (x, y) in enumerate(view.charts)
            ],
        }
    return state


def _chart(view: View, number: int, x: str, y: str) -> dict[str, Any]:
    return {
        "type": "SCATTER",
        "uuid": f"{view.key}-{number}",
        "metricSectionId": view.key,
        "runsCountToCompare": 100,
        "deleted": False,
        "isGenerated": False,
        "xaxis": {"key": x, "type": "PARAM" if x in _CONFIGURATION else "METRIC"},
        "yaxis": {"key": y, "type": "METRIC"},
    }
