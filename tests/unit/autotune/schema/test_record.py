"""A RunRecord refuses what cannot be, and its fingerprint covers the configuration alone."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from autotune.errors import InvalidRecordError
from autotune.schema.configuration import CONFIGURATION_FIELDS
from autotune.schema.record import RECORD_FIELDS, RunRecord, configuration_from_dict
from autotune.schema.validation import METRIC_FIELDS
from tests.support.strategies import run_records

GOOD: dict[str, Any] = {
    "source": "autotune",
    "engine": "vllm",
    "model": "m",
    "gpu": "H100",
    "n_gpus": 1,
    "batch_size": 8,
    "status": "completed",
    "output_throughput": 12.5,
}
OTHER = {
    "engine": "hf",
    "model": "other",
    "gpu": "A100",
    "n_gpus": 2,
    "batch_size": 9,
    "input_len": 7,
    "output_len": 7,
    "engine_version": "1.2",
    "dtype": "float16",
    "quantization": "fp8",
    "mode": "serving",
    "knobs": {"enforce_eager": True},
}
OTHER_RESULTS = {
    **dict.fromkeys(METRIC_FIELDS, 3),
    "status": "crashed",
    "purpose": "confirm",
    "session_id": "s",
    "environment": {"a": 1},
    "started_at": "2026-01-01",
    "notes": "n",
    "suspect": True,
}


def test_the_cases_below_name_every_field() -> None:
    assert set(OTHER) == set(CONFIGURATION_FIELDS)
    assert {*OTHER, *OTHER_RESULTS, "source", "schema", "run_key"} == set(RECORD_FIELDS)


@pytest.mark.parametrize("name", [*CONFIGURATION_FIELDS, "source"])
def test_run_key_changes_with_every_configuration_field(name: str) -> None:
    changed = RunRecord(**(GOOD | {name: OTHER.get(name, "elsewhere")}))
    assert changed.run_key != RunRecord(**GOOD).run_key


@pytest.mark.parametrize("name", OTHER_RESULTS)
def test_run_key_does_not_change_with_what_results(name: str) -> None:
    changed = RunRecord(**(GOOD | {name: OTHER_RESULTS[name]}))
    assert changed.run_key == RunRecord(**GOOD).run_key


def test_run_key_does_not_depend_on_the_order_of_knobs() -> None:
    one = RunRecord(**GOOD, knobs={"a": 1, "b": 2})
    two = RunRecord(**GOOD, knobs={"b": 2, "a": 1})
    assert one.run_key == two.run_key


def test_two_runs_of_one_configuration_have_two_identities() -> None:
    one, two = (RunRecord(**GOOD, started_at=at) for at in ("2026-01-01", "2026-01-02"))
    assert one.run_key == two.run_key
    assert one.record_id != two.record_id


@given(run_records())
def test_a_record_holds_its_own_configuration(record: RunRecord) -> None:
    assert configuration_from_dict(record.to_dict()) == record.configuration
    assert RunRecord.from_dict(record.to_dict()) == record


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("engine", "vlm", "one of vllm, hf"),
        ("n_gpus", 0, "at least 1"),
        ("n_gpus", True, "at least 1"),
        ("n_gpus", 1.0, "at least 1"),
        ("batch_size", 0, "at least 1"),
        ("batch_size", None, "missing batch_size"),
        ("model", " ", "non-empty"),
        ("model", None, "missing model"),
        ("output_throughput", -1.0, "above zero"),
        ("output_throughput", 0.0, "above zero"),
        ("output_throughput", float("nan"), "finite"),
        ("output_throughput", float("inf"), "finite"),
        ("output_throughput", 10**400, "finite"),
        ("output_throughput", "12", "finite number"),
        ("output_throughput", None, "at least one measured"),
        ("mean_ttft_ms", 0, "above zero"),
        ("repeats", 2.5, "whole number"),
        ("kv_cache_tokens", -1, "at least 0"),
        ("schema", 2, "the only one"),
        ("status", "ok", "one of completed"),
        ("purpose", "fun", "one of baseline"),
        ("knobs", {"a": [1]}, "text, number"),
        ("knobs", {"a": float("nan")}, "finite"),
        ("knobs", ["a"], "mapping"),
        ("environment", "x", "mapping"),
        ("environment", {"a": {1, 2}}, "plain JSON"),
        ("environment", {"a": float("inf")}, "plain JSON"),
        ("notes", "\udcff", "non-empty text"),
        ("suspect", 1, "true or false"),
        ("run_key", "0123456789abcdef", "not the fingerprint"),
        ("thruput", 1, "Did you mean"),
        ("output_throughputs", 1, "output_throughput"),
    ],
)
def test_an_impossible_value_is_refused_by_name(name: str, value: object, says: str) -> None:
    with pytest.raises(InvalidRecordError, match=says) as caught:
        RunRecord.from_dict(GOOD | {name: value})
    assert name in str(caught.value) or name == "output_throughput"


@pytest.mark.parametrize("name", ["source", "engine", "model", "gpu", "n_gpus", "status"])
def test_a_missing_key_is_refused_by_name(name: str) -> None:
    row = {key: value for key, value in GOOD.items() if key != name}
    with pytest.raises(InvalidRecordError, match=name):
        RunRecord.from_dict(row)


@pytest.mark.parametrize(
    ("changes", "measured"),
    [
        ({}, True),
        ({"status": "crashed"}, False),
        ({"output_throughput": None, "mean_ttft_ms": 3.0}, False),
    ],
)
def test_only_a_completed_run_with_a_throughput_is_measured(
    changes: dict[str, Any], measured: bool
) -> None:
    assert replace(RunRecord(**GOOD), **changes).is_measured is measured
