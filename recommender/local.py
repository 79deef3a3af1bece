"""A host with the target GPU as the device that confirms: each run is journalled at once."""

from collections.abc import Collection, Mapping
from typing import Any

from autotune.bench import Start
from autotune.errors import InvalidConfigError
from autotune.records import Configuration, RunRecord
from autotune.spec import EngineConfig, Workload
from autotune.trying import Device
from recommender.recommend import Recommendation

_BATCH_HEADROOM = 2


class LocalDevice:
    """Runs configurations through a bench.

    Args:
        recommendation: What is being confirmed; its candidates bound the engine starts.
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
        likely = [*recommendation.candidates, recommendation.best]
        if recommendation.keep_source is not None:
            likely.append(recommendation.keep_source)
        self._largest = max(candidate.batch_size for candidate in likely)

    def can_run(self, configuration: Configuration) -> bool:
        """Whether this host has the GPUs and the engine."""
        return (
            configuration.n_gpus <= self._n_gpus
            and configuration.batch_size <= self._largest * _BATCH_HEADROOM
            and configuration.engine in self._engines
        )

    def run(self, configuration: Configuration) -> RunRecord:
        """Run it here."""
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
            max_batch_size=max(self._largest, configuration.batch_size),
            max_model_len=workload.max_len,
        )
        return self._bench.run(start, workload, configuration.batch_size)
