"""A host with the target GPU as the device that confirms: each run is journalled at once."""

from collections.abc import Collection, Mapping
from typing import Any

from autotune.errors import InvalidConfigError
from autotune.runner.runner import Start, failed_to_start
from autotune.schema.record import Configuration, RunRecord
from autotune.schema.study_spec import EngineConfig, Workload
from autotune.study.trying import Device
from recommender.recommendation.recommend import Recommendation

_BATCH_HEADROOM = 2


def largest_batch(recommendation: Recommendation) -> int:
    """Return the batch size that a confirmation starts its engines for, so that one start serves.

    A run may show that more than any candidate listed is worth trying: up to twice as much, as far
    as that is expected to fit.
    """
    likely = [*recommendation.candidates, recommendation.best]
    if recommendation.keep_source is not None:
        likely.append(recommendation.keep_source)
    listed = max(candidate.batch_size for candidate in likely)
    fitting = (c.batch_size for c in recommendation.landscape if c.fits)
    return max([listed, *(size for size in fitting if size <= _BATCH_HEADROOM * listed)])


class LocalDevice:
    """Runs configurations through a bench.

    Args:
        recommendation: What is being confirmed; it bounds the batch sizes.
        bench: What runs them: here, or on a host of a fleet.
        n_gpus: How many of the target GPU are there.
        engines: What is installed there.
        model: What the engine loads: a catalogue name or a directory.
    """

    def __init__(
        self,
        recommendation: Recommendation,
        bench: Device,
        *,
        n_gpus: int,
        engines: Collection[str],
        model: str,
        knobs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        query = recommendation.query
        self._query = query
        self._bench = bench
        self._n_gpus = n_gpus
        self._engines = engines
        self._model = model
        self._knobs = knobs
        self._largest = self._capacity = largest_batch(recommendation)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether this host has the GPUs and the engine."""
        return (
            configuration.n_gpus <= self._n_gpus
            and configuration.batch_size <= self._largest
            and configuration.engine in self._engines
        )

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it here; where no engine can be started for the largest batch, for this one."""
        record = self._run(configuration)
        too_much = record.status == "out_of_memory" and failed_to_start(record)
        if not too_much or configuration.batch_size >= self._capacity:
            return record
        self._capacity = configuration.batch_size
        return self._run(configuration)

    def _run(self, configuration: Configuration) -> RunRecord:
        if configuration.input_len is None or configuration.output_len is None:
            raise InvalidConfigError("a configuration without lengths cannot be run")
        workload = Workload(
            mode=configuration.mode,
            input_len=configuration.input_len,
            output_len=configuration.output_len,
        )
        start = Start(
            config=EngineConfig(
                engine=configuration.engine,
                model=self._model,
                gpu=configuration.gpu,
                n_gpus=configuration.n_gpus,
                dtype=self._query.dtype,
                quantization=self._query.quantization,
                knobs=self._knobs.get(configuration.engine, {}),
                serving=configuration.mode == "serving",
            ),
            max_batch_size=max(self._capacity, configuration.batch_size),
            max_model_len=workload.max_len,
        )
        return self._bench.run(start, workload, configuration.batch_size)
