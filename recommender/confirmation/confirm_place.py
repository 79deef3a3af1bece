"""Where a confirmation measures: here, or on the host of a fleet that has the target GPU."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from autotune.catalog.gpus import detect_gpus
from autotune.engines.knobs import installed_engines
from autotune.runner.runner import Bench, BenchListener, BenchSettings
from autotune.schema.study_spec import EngineConfig
from autotune.study.loop import resolve_host
from autotune.study.trying import Device
from recommender.recommendation.recommend import Recommendation


class Place(NamedTuple):
    """What is there: a bench, so many of the target GPU, these engines, and the model."""

    bench: Device
    n_gpus: int
    engines: Collection[str]
    model: str


def _model(recommendation: Recommendation) -> str:
    """Return the model's name, or the whole path of its directory."""
    query = recommendation.query
    return query.model if query.model_path is None else str(Path(query.model_path).resolve())


@contextmanager
def here(
    recommendation: Recommendation, settings: BenchSettings, listener: BenchListener
) -> Iterator[Place]:
    """Measure on this host.

    Raises:
        InvalidConfigError: When it is not the recommendation's target.
    """
    resolve_host(recommendation.target_gpu, 1)
    with Bench(settings, listener) as bench:
        yield Place(bench, len(detect_gpus()) or 1, installed_engines(), _model(recommendation))


@contextmanager
def in_fleet(
    address: str, recommendation: Recommendation, settings: BenchSettings
) -> Iterator[Place]:
    """Measure on a host of a Ray cluster.

    Raises:
        FleetError: When no host has the recommendation's target.
    """
    from autotune.study.fleet.ray import fleet_at

    query, gpu = recommendation.query, recommendation.target_gpu
    with fleet_at(address) as fleet:
        n_gpus = min(fleet.kind(gpu).n_gpus, query.max_gpus)
        engines = fleet.engines(gpu)
        fleet.measure_with(settings)
        model = _model(recommendation)
        seat = fleet.open(
            EngineConfig(engine=query.engines[0], model=model, gpu=gpu, n_gpus=n_gpus)
        )
        yield Place(seat, n_gpus, engines, model)
