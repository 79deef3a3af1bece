"""A study is validated at one edge: what cannot be meant is refused by name."""

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import InvalidConfigError, UsageError
from autotune.schema.engine_config import EngineConfig
from autotune.schema.loading import study_from_dict
from autotune.schema.study_spec import Incumbent, StudySpec
from autotune.schema.validation import parse_counts
from autotune.schema.workload import MeasurePolicy, Slo, Workload

counts = st.integers(min_value=1, max_value=10**9 - 1)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1:8", (1, 2, 4, 8)),
        ("1:10", (1, 2, 4, 8)),
        ("3:24", (3, 6, 12, 24)),
        ("1,3,7", (1, 3, 7)),
        ("1:4,4,6", (1, 2, 4, 6)),
        (" 1 , 2 ", (1, 2)),
        (4, (4,)),
        ([1, 3], (1, 3)),
        ((5,), (5,)),
    ],
)
def test_counts_are_read(value: object, expected: tuple[int, ...]) -> None:
    assert parse_counts(value) == expected


@pytest.mark.parametrize(
    "value", ["0", "0:8", "8:1", "1:", ":4", "", ",", "a", "1.5", "-1", "1_0", 0, -1, True, 1.5]
)
def test_a_count_that_cannot_be_is_refused(value: object) -> None:
    with pytest.raises(InvalidConfigError, match="count"):
        parse_counts(value)


@pytest.mark.parametrize("value", [None, b"12", {1: 2}, [0], ["1"], [True], [1.0], "9" * 5000])
def test_a_value_of_another_kind_is_refused(value: object) -> None:
    with pytest.raises(InvalidConfigError, match="count"):
        parse_counts(value)


@given(st.lists(counts, min_size=1, max_size=10, unique=True))
def test_a_written_list_is_read_back(values: list[int]) -> None:
    assert parse_counts(",".join(map(str, values))) == tuple(values)


@given(counts, counts)
def test_a_range_doubles_from_its_first_to_at_most_its_last(one: int, two: int) -> None:
    low, high = sorted((one, two))
    values = parse_counts(f"{low}:{high}")
    assert values[0] == low
    assert values[-1] <= high < 2 * values[-1]
    assert all(after == 2 * before for before, after in itertools.pairwise(values))


@given(st.text())
def test_any_text_is_counts_or_refused(text: str) -> None:
    try:
        values = parse_counts(text)
    except InvalidConfigError:
        return
    assert values
    assert all(value >= 1 for value in values)


def test_a_study_file_may_write_lists_as_one_value() -> None:
    spec = study_from_dict(
        {
            "model": "m",
            "engines": "vllm,hf",
            "batch_sizes": "1:4",
            "n_gpus": 2,
            "workloads": {"input_len": 3},
            "policy": {"min_repeats": 2},
        }
    )
    assert spec.engines == ("vllm", "hf")
    assert (spec.batch_sizes, spec.n_gpus) == ((1, 2, 4), (2,))
    assert spec.workloads == (Workload(input_len=3),)
    assert spec.policy == MeasurePolicy(min_repeats=2)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({}, "missing key 'model'"),
        ({"modell": "m"}, "'modell'. Did you mean model"),
        ({"batch_size": 1}, "'batch_size'. Did you mean batch_sizes"),
        ({"policy": {"repeats": 1}}, "policy: unknown key 'repeats'"),
        ({"policy": 3}, "policy: expected a mapping"),
        ({"workloads": [{"input": 1}]}, "workload: unknown key 'input'.*input_len"),
        ({"workloads": 5}, "workload: expected a mapping"),
        ({"workloads": []}, "at least one"),
        ({"workloads": [{"output_len": 0}]}, "output_len=0"),
        ({"workloads": [{"mode": "open"}]}, "mode='open'"),
        ({"batch_sizes": 0}, "count=0"),
        ({"batch_sizes": [1, 1]}, "free of repetitions"),
        ({"batch_sizes": []}, "at least one"),
        ({"engines": "vlm"}, "engine='vlm'.*Did you mean vllm"),
        ({"engines": "trtllm"}, "engine='trtllm'"),
        ({"engines": ["hf", "hf"]}, "free of repetitions"),
        ({"engines": 3}, "engines=3"),
        ({"n_gpus": [0]}, "count=0"),
        ({"dtype": "bfloat"}, "dtype='bfloat'.*bfloat16"),
        ({"purpose": "searching"}, "purpose='searching'.*search"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 1.5}, "seed=1.5"),
        ({"trust_remote_code": "yes"}, "trust_remote_code='yes'"),
        ({"model": 3}, "model=3"),
        ({"gpu": ""}, "gpu=''"),
        ({"quantization": 8}, "quantization=8"),
        ({"knobs": [1]}, "knobs="),
        ({"knobs": {"a": [[1]]}}, "knobs.'a'."),
        ({"knobs": {"a": {"b": 1}}}, "knobs.'a'."),
        ({"knobs": {"a": []}}, "knob a=.*at least one"),
        ({"knobs": {"vllm": {"a": [1, 2, 1]}}}, "knob vllm.a=.*free of repetitions"),
        ({"knobs": {"a": [1, float("inf")]}}, "knobs.'a'..*finite"),
        ({"strategy": "optuna"}, "strategy='optuna'.*grid, random, tpe, surrogate"),
        ({"max_trials": 0}, "max_trials=0"),
        ({"max_trials": 2.5}, "max_trials=2.5"),
        ({"max_time_s": 0}, "max_time_s=0"),
        ({"max_gpu_hours": -1}, "max_gpu_hours=-1"),
        ({"exhaustive": 1}, "exhaustive=1"),
        ({"kept": "2*64"}, "kept='2.64'.*2x64"),
        ({"kept": "0x64"}, "n_gpus=0"),
        ({"kept": "vlm:1x4"}, "engine='vlm'"),
        ({"kept": {"n_gpus": 1}}, "kept: missing key 'batch_size'"),
        ({"kept": {"gpus": 1}}, "kept: unknown key 'gpus'.*n_gpus"),
        ({"slo": {"max_ttft": 1}}, "slo: unknown key 'max_ttft'.*max_ttft_ms"),
        ({"start_timeout_s": 0}, "start_timeout_s=0"),
        ({"stall_timeout_s": float("nan")}, "stall_timeout_s=nan"),
        ({"policy": {"min_repeats": 5, "max_repeats": 2}}, "max_repeats=2"),
        ({"policy": {"warmups": 0}}, "warmups=0"),
    ],
)
def test_a_study_that_cannot_be_meant_is_refused_by_name(data: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        study_from_dict(data if "model" in data or not data else {"model": "m"} | data)


@pytest.mark.parametrize("data", [None, 3, "model: m", ["model"]])
def test_a_study_that_is_no_mapping_is_refused(data: Any) -> None:
    with pytest.raises(InvalidConfigError, match="expected a mapping"):
        study_from_dict(data)


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(list(StudySpec.__dataclass_fields__)), JUNK))
def test_any_study_file_becomes_a_study_or_is_refused(data: dict[str, Any]) -> None:
    try:
        spec = study_from_dict(data)
    except UsageError:
        return
    assert spec.batch_sizes


@pytest.mark.parametrize(
    "knobs",
    [
        {"vllm": {"enforce_eager": True}, "hf": {"device_map": "auto"}, "shared": 1},
        {"vllm.enforce_eager": True, "hf.device_map": "auto", "shared": 1},
    ],
)
def test_each_engine_gets_its_own_knobs_and_the_shared_ones(knobs: dict[str, Any]) -> None:
    spec = study_from_dict({"model": "m", "knobs": knobs})
    assert spec.knobs_of("vllm") == {"enforce_eager": True, "shared": 1}
    assert spec.knobs_of("hf") == {"device_map": "auto", "shared": 1}


@pytest.mark.parametrize(
    ("knob", "option"),
    [("max_num_seqs", "--batch-sizes"), ("tensor_parallel_size", "--n-gpus"), ("dtype", "--dtype")],
)
def test_a_knob_that_an_option_sets_is_refused_with_the_option(knob: str, option: str) -> None:
    with pytest.raises(InvalidConfigError, match=option):
        EngineConfig(engine="vllm", model="m", gpu="H100", knobs={knob: 1})


def test_alternatives_of_knobs_are_crossed() -> None:
    knobs = {"vllm": {"a": [1, 2], "c": [True, False]}, "hf.a": 3, "b": "x"}
    spec = study_from_dict({"model": "m", "knobs": knobs})
    assert spec.knob_choices_of("vllm") == [
        {"b": "x", "a": a, "c": c} for a, c in itertools.product((1, 2), (True, False))
    ]
    assert spec.fixed_knobs_of("vllm") == {"b": "x"}
    assert spec.knob_choices_of("hf") == [{"b": "x", "a": 3}]


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("2x64", Incumbent(n_gpus=2, batch_size=64)),
        (" hf:1x8 ", Incumbent(engine="hf", n_gpus=1, batch_size=8)),
        (
            {"engine": "vllm", "n_gpus": 4, "batch_size": 2},
            Incumbent(engine="vllm", n_gpus=4, batch_size=2),
        ),
    ],
)
def test_the_kept_configuration_is_read(text: Any, kept: Incumbent) -> None:
    assert study_from_dict({"model": "m", "kept": text}).kept == kept


def test_what_records_say_of_the_search_leaves_out_budgets_that_are_not_set() -> None:
    spec = StudySpec(model="m", strategy="tpe", seed=7, max_gpu_hours=0.5)
    assert spec.search_settings == {"strategy": "tpe", "seed": 7, "max_gpu_hours": 0.5}


@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "5"])
def test_a_limit_that_is_no_number_above_zero_is_refused(value: Any) -> None:
    with pytest.raises(InvalidConfigError, match="max_ttft_ms"):
        Slo(max_ttft_ms=value)


@pytest.mark.parametrize(("gpu", "on_cpu"), [("CPU: host-4c", True), ("H100-SXM-80GB", False)])
def test_an_engine_knows_whether_it_runs_on_the_processor(gpu: str, on_cpu: bool) -> None:
    assert EngineConfig(engine="hf", model="m", gpu=gpu).is_on_cpu is on_cpu
