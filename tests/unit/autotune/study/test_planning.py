"""A plan: grids, knob alternatives, servers and baselines, each by the start that it needs."""

from pathlib import Path
from typing import Any

import pytest

from autotune.catalog.compatibility import check_split, default_batch_size
from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.engines.knobs import engine_version
from autotune.errors import InvalidConfigError
from autotune.runner.runner import Start, Trial
from autotune.schema.engine_config import EngineConfig
from autotune.schema.study_spec import Incumbent, StudySpec
from autotune.schema.workload import Workload
from autotune.study.planning import plan

needs_hf = pytest.mark.skipif(engine_version("hf") is None, reason="transformers is not installed")
needs_vllm = pytest.mark.skipif(engine_version("vllm") is None, reason="vLLM is not installed")


def planned(model: Path, **changes: Any) -> list[Trial]:
    values: dict[str, Any] = {"model": str(model), "engines": ("hf",), "batch_sizes": (4, 1)}
    return plan(StudySpec(**(values | changes)))


@needs_hf
def test_each_combination_of_alternatives_is_a_start_of_its_own(demo_model: Path) -> None:
    knobs = {"attn_implementation": ("sdpa", "eager"), "hf.device_map": "auto"}
    items = planned(demo_model, knobs=knobs)
    assert [(i.config.knobs["attn_implementation"], i.batch_size) for i in items] == [
        ("sdpa", 1),
        ("sdpa", 4),
        ("eager", 1),
        ("eager", 4),
    ]
    assert all(i.configuration.knobs == i.config.knobs for i in items)


@needs_hf
def test_every_alternative_is_checked_before_any_start(demo_model: Path) -> None:
    with pytest.raises(InvalidConfigError, match=r"device_map='blanced'.*balanced"):
        planned(demo_model, knobs={"device_map": ("auto", "blanced")})


@needs_hf
def test_workloads_come_from_the_longest_request_to_the_shortest(demo_model: Path) -> None:
    short = Workload(input_len=8, output_len=8)
    spread = Workload(input_len=8, output_len=8, length_distribution="lognormal", length_spread=0.5)
    long = Workload(input_len=40, output_len=8)
    items = planned(demo_model, workloads=(short, long, spread))
    assert [i.workload for i in items[::2]] == [spread, long, short]
    start = Start.for_trials(items)
    assert (start.max_batch_size, start.max_model_len) == (4, 64)


@needs_hf
def test_a_pipeline_has_no_server(demo_model: Path) -> None:
    with pytest.raises(InvalidConfigError, match=r"mode='serving'.*no server of its own"):
        planned(demo_model, workloads=(Workload(mode="serving"),))


@needs_vllm
def test_serving_needs_a_start_of_its_own(demo_model: Path) -> None:
    workloads = (Workload(), Workload(mode="stream"), Workload(mode="serving"))
    items = planned(demo_model, engines=("vllm",), workloads=workloads, batch_sizes=(2,))
    assert [(i.workload.mode, i.config.serving) for i in items] == [
        ("closed_batch", False),
        ("stream", False),
        ("serving", True),
    ]


@needs_hf
@pytest.mark.parametrize("strategy", ["random", "tpe", "surrogate"])
def test_a_search_measures_the_default_and_the_kept_configuration(
    demo_model: Path, strategy: str
) -> None:
    kept = Incumbent(n_gpus=1, batch_size=3)
    items = planned(demo_model, strategy=strategy, kept=kept, batch_sizes=(2, 4))
    assert [(i.batch_size, i.is_baseline) for i in items] == [
        (2, False),
        (4, False),
        (3, True),
        (1, True),
    ]


@needs_hf
def test_a_grid_measures_the_kept_configuration_alone_and_not_twice(demo_model: Path) -> None:
    items = planned(demo_model, kept=Incumbent(n_gpus=1, batch_size=4))
    assert [(i.batch_size, i.is_baseline) for i in items] == [(1, False), (4, True)]


@needs_hf
def test_a_baseline_leaves_the_knobs_that_are_searched_to_the_engine(demo_model: Path) -> None:
    knobs = {"attn_implementation": ("sdpa", "eager"), "device_map": "auto"}
    items = planned(demo_model, strategy="tpe", knobs=knobs)
    assert [(i.is_baseline, i.config.knobs) for i in items][-1] == (True, {"device_map": "auto"})
    assert sum(i.is_baseline for i in items) == 1


@needs_hf
def test_more_gpus_than_are_here_are_refused_also_for_the_kept_configuration(
    demo_model: Path,
) -> None:
    with pytest.raises(InvalidConfigError, match="n_gpus=64 is too many"):
        planned(demo_model, kept=Incumbent(n_gpus=64, batch_size=4))


@needs_vllm
def test_vllm_s_ray_executor_may_take_gpus_of_other_hosts(demo_model: Path) -> None:
    asked: dict[str, Any] = {"engines": ("vllm",), "n_gpus": (2,), "batch_sizes": (1,)}
    with pytest.raises(InvalidConfigError, match="n_gpus=2 is too many"):
        planned(demo_model, **asked)
    (item,) = planned(demo_model, **asked, knobs={"vllm.distributed_executor_backend": "ray"})
    assert item.config.spans_hosts
    assert item.config.parallel_sizes.tensor == 2


@pytest.mark.parametrize(
    ("engine", "gpu", "size"),
    [
        ("hf", "H100", 1),
        ("vllm", "H100", 1024),
        ("vllm", "H200", 1024),
        ("vllm", "A100-80GB", 256),
        ("vllm", "L4", 256),
        ("vllm", "cpu", 256),
    ],
)
def test_the_batch_size_nobody_names(engine: str, gpu: str, size: int) -> None:
    assert default_batch_size(engine, find_gpu(gpu)) == size


def test_heads_are_split_over_the_tensor_parallel_gpus_alone() -> None:
    model = find_model("meta-llama/Llama-3.1-8B")
    config = EngineConfig(
        engine="vllm", model="m", gpu="H100", n_gpus=6, knobs={"pipeline_parallel_size": 3}
    )
    check_split(model, config)
    plain = EngineConfig(engine="vllm", model="m", gpu="H100", n_gpus=6)
    with pytest.raises(InvalidConfigError, match=r"n_gpus=6.*32 attention heads.*over 6"):
        check_split(model, plain)


@needs_hf
def test_a_model_known_by_another_is_planned_under_its_own_name(demo_model: Path) -> None:
    (item,) = plan(
        StudySpec(model="my-company/tuned", like=str(demo_model), engines=("hf",), batch_sizes=(1,))
    )
    assert (item.config.model, item.config.like) == ("my-company/tuned", str(demo_model))
    assert item.configuration.model == "my-company/tuned"
