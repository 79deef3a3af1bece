"""The views that MLflow's page opens on: what is in the tags is what MLflow would have written."""

import base64
import json
import zlib

import pytest

from autotune.schema.configuration import CONFIGURATION_FIELDS
from autotune.schema.validation import METRIC_FIELDS
from autotune.store.tracking.saved_views import VIEWS, View, address, furnishing


def state(view: View) -> dict[str, object]:
    saved = json.loads(furnishing()[f"mlflow.sharedViewState.{view.key}"])
    kind, _, packed = saved["state"].partition(";")
    assert kind == "deflate"
    assert saved["name"] == view.name
    found = json.loads(zlib.decompress(base64.b64decode(packed)))
    assert isinstance(found, dict)
    return found


@pytest.mark.parametrize("view", VIEWS, ids=[view.key for view in VIEWS])
def test_a_view_filters_sorts_and_chooses_columns(view: View) -> None:
    found = state(view)
    assert found["searchFilter"] == view.query
    assert found["orderByKey"] == view.order_by
    columns = found["selectedColumns"]
    assert isinstance(columns, list)
    assert f"metrics.`{view.metrics[0]}`" in columns


def test_the_configurations_view_has_columns_and_charts_that_records_fill() -> None:
    view = VIEWS[0]
    assert set(view.metrics) <= set(METRIC_FIELDS)
    assert set(view.params) <= set(CONFIGURATION_FIELDS)
    charts = state(view)["compareRunCharts"]
    assert isinstance(charts, list)
    assert charts[0]["xaxis"] == {"key": "batch_size", "type": "PARAM"}
    assert charts[1]["xaxis"] == {"key": "mean_tpot_ms", "type": "METRIC"}


def test_an_address_names_the_view() -> None:
    assert address("1", VIEWS[0], 5000) == (
        "http://127.0.0.1:5000/#/experiments/1/runs?"
        "workflowType=machine_learning&viewStateShareKey=autotune-configurations"
    )


def test_a_tag_fits_into_any_store() -> None:
    assert all(len(value) < 5000 for value in furnishing().values())
