"""Candidates from configurations: what is predicted or was measured, what it costs and draws."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from autotune.catalog.gpus import find_gpu
from autotune.engines.vllm.deployed import measured_otherwise
from autotune.schema.configuration import Configuration
from autotune.schema.record import RunRecord
from recommender.recommendation.candidates import Candidate, cell, may_be_same_format
from recommender.recommendation.objectives import chance_measured, chance_within, dollars_per_mtok
from recommender.recommendation.plans import as_measured, command, on_hosts, replicas_held
from recommender.recommendation.query import Query
from recommender.surrogate.energy import joules_per_token, metered_energy
from recommender.surrogate.predictor import Prediction, Predictor

# Half the 90 % interval of a single pass, as a share: 1.645 standard deviations of the passes, of
# which three quarters of the reference runs with three passes or more have fewer.
_ONE_PASS: Final[Mapping[str, float]] = {"vllm": 0.07, "hf": 0.18}
_ONE_PASS_ELSEWHERE: Final = 0.18


def evaluate_candidates(
    configurations: Sequence[Configuration],
    predictor: Predictor,
    known: Sequence[RunRecord],
    query: Query,
) -> list[Candidate]:
    """Predict each configuration; where it was measured, the measurement stands.

    Args:
        known: Of runs of one configuration, the last counts.
        query: Its limits and prices hold; the line to deploy names what it deploys.
    """
    if not configurations:
        return []
    counted = [r for r in known if not r.suspect]
    measured = {cell(r): r for r in counted if r.is_measured}
    failed = {cell(r): r for r in counted if r.status == "out_of_memory"}
    predictions = predictor.predict(configurations, known)
    runs = [_same_format(c, measured.get(cell(c))) for c in configurations]
    throughput = [
        (run.output_throughput if run is not None else None) or prediction.output_throughput
        for run, prediction in zip(runs, predictions, strict=True)
    ]
    energy = joules_per_token(configurations, np.array(throughput), known)
    return [
        _candidate(
            configuration,
            prediction,
            run,
            query,
            has_failed=_same_format(configuration, failed.get(cell(configuration))) is not None,
            energy=float(joules) if np.isfinite(joules) else None,
        )
        for configuration, prediction, run, joules in zip(
            configurations, predictions, runs, energy, strict=True
        )
    ]


def _same_format(question: Configuration, run: RunRecord | None) -> RunRecord | None:
    """Return the run unless both name a dtype and the two differ."""
    return run if run is not None and may_be_same_format(question.dtype, run.dtype) else None


def _candidate(
    configuration: Configuration,
    prediction: Prediction,
    run: RunRecord | None,
    query: Query,
    *,
    has_failed: bool,
    energy: float | None,
) -> Candidate:
    throughput, low, high = prediction.output_throughput, prediction.low, prediction.high
    ttft, tpot = prediction.ttft_ms, prediction.tpot_ms
    chance = chance_within(prediction, query.slo)
    if run is not None and run.output_throughput is not None:
        throughput = run.output_throughput
        spread = run.throughput_ci95 or _ONE_PASS.get(run.engine, _ONE_PASS_ELSEWHERE)
        low, high = throughput / (1 + spread), throughput * (1 + spread)
        ttft, tpot = run.mean_ttft_ms or ttft, run.mean_tpot_ms or tpot
        chance = chance_measured(prediction, run, query.slo)
        energy = metered_energy(run) or energy
    dollars = query.prices.get(configuration.gpu)
    n_gpus = configuration.n_gpus
    replicas, on_one_host = _replicas(configuration, query)
    deployed = as_measured(configuration, run)
    return Candidate(
        engine=configuration.engine,
        n_gpus=n_gpus,
        batch_size=configuration.batch_size,
        output_throughput=throughput,
        low=low,
        high=high,
        p_feasible=1.0 if run is not None else 0.0 if has_failed else prediction.p_feasible,
        fits=run is not None or (prediction.fits and not has_failed),
        output_throughput_per_gpu=throughput / n_gpus,
        ttft_ms=ttft,
        tpot_ms=tpot,
        memory_gb=prediction.memory_gb,
        status="predicted" if run is None else "measured",
        command=command(deployed, on_one_host, query.model_path or query.published),
        bottleneck=prediction.bottleneck,
        confidence="high" if run is not None else prediction.confidence,
        p_within_limits=chance,
        energy_j_per_token=energy,
        cost_per_mtok=None if dollars is None else dollars_per_mtok(dollars, n_gpus, throughput),
        replicas=replicas,
        measured_otherwise=measured_otherwise(deployed, run),
    )


def _replicas(configuration: Configuration, query: Query) -> tuple[int, int]:
    """Return the replicas of a plan, in all and on its first host."""
    if query.most_replicas == 1:
        return 1, 1
    gpu = find_gpu(configuration.gpu)
    replicas = replicas_held(query, gpu, configuration.n_gpus)
    return replicas, on_hosts(replicas, configuration.n_gpus, gpu)[0].replicas
