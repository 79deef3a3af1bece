"""``autotune demo``: the main job in small, on whatever this machine is."""

from collections.abc import Callable
from typing import Any

from autotune.engines.demo_model import build_demo_model
from autotune.engines.knobs import installed_engines, require_engine
from autotune.schema.engine_config import RUNNABLE_ENGINES
from autotune.schema.study_spec import StudySpec
from autotune.schema.workload import MeasurePolicy, Workload
from autotune.store.location import store_directory
from autotune.study.planning import resolve_host
from autotune.study.run import run_study
from recommender.commands.confirm import confirm_here
from recommender.commands.recommend import advise
from recommender.commands.train import train_and_register
from recommender.confirmation.result import Confirmation
from recommender.recommendation.query import Query
from recommender.reports.answer_tables import recommendation_view
from recommender.reports.tables import confirmation_view

NAME = "autotune-demo-llama"
WORKLOAD = Workload(input_len=64, output_len=32)
POLICY = MeasurePolicy(target_ci95=0.03, max_repeats=8, time_budget_s=3.0)
# Compiling a model this small takes longer than the whole study.
KNOBS = {"vllm": {"enforce_eager": True}}
MAX_BATCH_SIZE = 64


def _quiet(_: Any) -> None:
    """Tell nobody."""


def run_demo(
    tracking_uri: str, *, echo: Callable[[str], Any] = _quiet, show: Callable[[Any], Any] = _quiet
) -> Confirmation:
    """Study, train, recommend, confirm; tell each step, and return what the runs confirmed.

    Args:
        echo: Prints a line.
        show: Prints a rich view.

    Raises:
        EngineUnavailableError: When this machine has no engine at all.
    """
    engines = _engines(echo)
    here = resolve_host(None, 1)
    directory = store_directory(tracking_uri)
    model = str(build_demo_model(directory / NAME))
    echo(f"\n1. Measure {NAME} (random weights) with {' and '.join(engines)} on {here}\n")
    study = StudySpec(
        model=model,
        engines=engines,
        batch_sizes=(1, 2, 4, 8, 16),
        workloads=(WORKLOAD,),
        knobs={f"{e}.{k}": v for e in engines for k, v in KNOBS.get(e, {}).items()},
        policy=POLICY,
        exhaustive=True,
    )
    echo(run_study(study, tracking_uri=tracking_uri).summary)

    echo("\n2. Train the surrogate on the store's runs\n")
    echo(train_and_register(tracking_uri, promote="auto").text)

    echo("\n3. Recommend for another GPU\n")
    show(
        recommendation_view(
            advise(Query(model=model, target_gpu="H100", workload=WORKLOAD), tracking_uri)
        )
    )

    echo(f"\n4. Recommend for {here}, larger batches included, and confirm by real runs\n")
    asked = Query(
        model=model,
        target_gpu=here,
        engine="all" if len(engines) > 1 else engines[0],
        max_gpus=1,
        max_batch_size=MAX_BATCH_SIZE,
        workload=WORKLOAD,
    )
    made = advise(asked, tracking_uri)
    show(recommendation_view(made))
    confirmation = confirm_here(
        made.recommendation_id, tracking_uri, runs=3, policy=POLICY, knobs=KNOBS
    )
    show(confirmation_view(confirmation))
    echo("\nEvery run, the surrogate and the recommendations are in MLflow:  autotune ui")
    return confirmation


def _engines(echo: Callable[[str], Any]) -> tuple[str, ...]:
    engines = installed_engines()
    for engine in RUNNABLE_ENGINES:
        if engine not in engines:
            echo(f"{engine} is not installed here: going on without it")
    if not engines:
        require_engine("hf")
    return engines
