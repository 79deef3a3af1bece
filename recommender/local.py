"""This host as the device that confirms: configurations run here, each journalled at once."""

from collections.abc import Mapping
from typing import Any

from autotune.bench import Bench, Start
from autotune.engines.knobs import engine_version
from autotune.errors import InvalidConfigError
from autotune.records import Configuration, RunRecord
from autotune.spec import EngineConfig, Workload
from recommender.recommend import Recommendation

_BATCH_HEADROOM = 2


class LocalDevice:
    """Runs configurations through a bench.

    Args:
        recommendation: What is being confirmed; its candidates bound the engine starts.
        n_gpus: How many of the target GPU are here.
        model: What the engine loads: a catalogue name or a directory.
    """

    def __init__(
        self,
        recommendation: Recommendation,
        bench: Bench,
        *,
        n_gpus: int,
        model: str,
        knobs: Mapping[str, Mapping[str, Any]],
    ) -> None:
        query = recommendation.query
        self._query = query
        self._bench = bench
        self._n_gpus = n_gpus
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
            and engine_version(configuration.engine) is not None
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
