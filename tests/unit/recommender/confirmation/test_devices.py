"""A confirmation on this host: one engine start for all it may try, for less where that fails."""

import dataclasses

import pytest

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.runner.runner import Start, Trial
from autotune.schema.record import RunRecord
from recommender.confirmation.confirm import confirm
from recommender.confirmation.devices import LocalDevice, largest_batch
from recommender.recommendation.candidates import enumerate_configurations
from recommender.recommendation.query import Query
from recommender.recommendation.recommend import recommend
from recommender.recommendation.recommendation import Recommendation
from recommender.surrogate.predictor import PRETRAINED, Predictor
from tests.support.records import record

PREDICTOR = Predictor.load(PRETRAINED)


@pytest.fixture(scope="module")
def advice() -> Recommendation:
    query = Query(
        model="meta-llama/Llama-3.1-8B", target_gpu="H200", max_gpus=1, max_batch_size=1024
    )
    return recommend(query, PREDICTOR)


class RecordedHost:
    """What a host of that size answers; remembers what its engines were started for.

    Args:
        most: The largest batch that an engine can be started for.
    """

    def __init__(self, most: int = 10**6) -> None:
        self.started_for: list[int] = []
        self._most = most

    def run(self, trial: Trial, start: Start) -> RunRecord:
        """Return the run."""
        self.started_for.append(start.max_batch_size)
        place = {
            "batch_size": trial.batch_size,
            "input_len": trial.workload.input_len,
            "output_len": trial.workload.output_len,
        }
        if start.max_batch_size > self._most:
            return record(status="out_of_memory", output_throughput=None, **place)
        return record(output_throughput=50.0 * trial.batch_size**0.8, engine_start_s=60.0, **place)


def device(advice: Recommendation, host: RecordedHost) -> LocalDevice:
    return LocalDevice(
        advice, host, n_gpus=1, engines=("vllm",), model=advice.query.model, knobs={}
    )


def test_one_start_serves_every_run(advice: Recommendation) -> None:
    host = RecordedHost()
    done = confirm(advice, device(advice, host), PREDICTOR, runs=5)
    assert len(done.runs) == len(host.started_for) == 5
    assert set(host.started_for) == {largest_batch(advice)}
    assert max(run.record.batch_size for run in done.runs) <= largest_batch(advice)


def test_it_is_no_more_than_twice_what_is_listed_and_fits(advice: Recommendation) -> None:
    listed = max(candidate.batch_size for candidate in (*advice.candidates, advice.best))
    assert listed <= largest_batch(advice) <= 2 * listed
    tight = dataclasses.replace(
        advice,
        landscape=tuple(
            dataclasses.replace(c, fits=c.batch_size <= listed) for c in advice.landscape
        ),
    )
    assert largest_batch(tight) == listed


def test_where_the_engine_cannot_start_for_the_largest_it_starts_for_less(
    advice: Recommendation,
) -> None:
    host = RecordedHost(most=256)
    chosen = device(advice, host)
    query = advice.query
    profile, gpu = find_model(query.model), find_gpu(advice.target_gpu)
    small, large = (
        next(c for c in enumerate_configurations(query, profile, gpu) if c.batch_size == size)
        for size in (256, 512)
    )
    assert chosen.run(small).status == "completed"
    assert host.started_for == [largest_batch(advice), 256]
    assert chosen.run(small).status == "completed"
    assert chosen.run(large).status == "out_of_memory"
    assert host.started_for[2:] == [256, 512]
