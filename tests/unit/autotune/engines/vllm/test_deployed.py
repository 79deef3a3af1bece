"""What a measurement hands on to the line that deploys it, and what the two differ in."""

import pytest

from autotune.engines.vllm.deployed import deployed_knobs, measured_otherwise
from tests.support.records import record

OWN = record(source="autotune", environment={"weights": "checkpoint"})


def test_own_knobs_are_taken_over_and_others_where_vllm_has_the_option() -> None:
    knobs = {"enforce_eager": True, "expert_parallel_size": 8, "workload.num_prompts": 8}
    assert deployed_knobs(record(knobs=knobs)) == {"enforce_eager": True}
    own = record(source="autotune", knobs={"of_tomorrow": 3})
    assert deployed_knobs(own) == {"of_tomorrow": 3}


def test_code_of_the_model_s_own_has_to_be_allowed_again() -> None:
    own = record(source="autotune", environment={"trust_remote_code": True})
    assert deployed_knobs(own) == {"trust_remote_code": True}


def test_what_measuring_adds_is_said() -> None:
    said = measured_otherwise(OWN, OWN)
    assert said.startswith("Measured without prefix caching, with --max-model-len no more than")
    assert said.endswith("in closed batches without a server")
    assert "random" not in said
    assert "generation" not in said


def test_random_weights_are_said_of_what_was_measured_with_them_alone() -> None:
    run = record(source="autotune", environment={"weights": "random"})
    assert "with random weights" in measured_otherwise(run, run)
    predicted = measured_otherwise(run, None)
    assert predicted.startswith("Predicted as it would be measured: without prefix caching")
    assert "random weights" not in predicted


def test_a_server_s_own_settings_are_said_and_no_closed_batch() -> None:
    run = record(source="autotune", mode="serving", environment={"weights": "checkpoint"})
    said = measured_otherwise(run, run)
    assert "without the model's own generation settings" in said
    assert "server" not in said


def test_what_the_line_says_is_no_difference() -> None:
    knobs = {"enable_prefix_caching": True, "max_model_len": 4096, "generation_config": "vllm"}
    run = record(source="autotune", mode="serving", knobs=knobs)
    assert "prefix" not in measured_otherwise(run, run)
    assert "max-model-len" not in measured_otherwise(run, run)
    whole = record(source="autotune", mode="serving", knobs=knobs, environment={})
    assert measured_otherwise(whole, whole) == ""


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"mode": "serving"}, ""),
        ({"mode": "stream"}, "Measured in a stream of requests without a server"),
        (
            {"mode": "serving", "knobs": {"expert_parallel_size": 8}},
            "Measured with expert_parallel_size=8 (no option of vllm serve)",
        ),
        ({"engine": "hf"}, ""),
    ],
)
def test_of_others_runs_only_what_they_say_is_known(changes: dict[str, object], said: str) -> None:
    run = record(source="elsewhere", **changes)
    assert measured_otherwise(run, run) == said
