"""Plans: how many replicas of a configuration the GPUs at hand hold, on which hosts, in words."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from autotune.catalog.gpus import GpuSpec, find_gpu
from autotune.engines.vllm.deployed import deployed_knobs
from autotune.schema.configuration import CONFIGURATION_FIELDS, Configuration
from autotune.schema.record import RunRecord
from autotune.views.deployment import serve_line
from recommender.features.placement import replicas_of, start_of_replicas
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.query import Query
from recommender.recommendation.ranking import score


class OnHosts(NamedTuple):
    """Hosts that serve alike: each so many replicas."""

    hosts: int
    replicas: int


def replicas_held(query: Query, gpu: GpuSpec, n_gpus: int) -> int:
    """Return how many replicas of ``n_gpus`` each the query's GPUs hold, one at least.

    A replica lies on one host. A processor is one host's, however many GPUs may be spent.
    """
    if query.most_replicas == 1 or gpu.vendor == "cpu":
        return 1
    hosts, rest = divmod(query.max_gpus, gpu.max_gpus)
    held = hosts * (gpu.max_gpus // n_gpus) + rest // n_gpus
    return max(1, min(held, query.most_replicas or held))


def on_hosts(replicas: int, n_gpus: int, gpu: GpuSpec) -> list[OnHosts]:
    """Return the hosts of a plan: the full ones, then the one that holds the rest."""
    each = max(gpu.max_gpus // n_gpus, 1)
    full, rest = divmod(replicas, each)
    places = [OnHosts(full, each)] if full else []
    return [*places, OnHosts(1, rest)] if rest else places


def as_measured(configuration: Configuration, run: RunRecord | None) -> Configuration:
    """Return what deploys a configuration as a run of it was measured, where there is one."""
    if run is None or configuration.engine != "vllm":
        return configuration
    fields: dict[str, Any] = {name: getattr(configuration, name) for name in CONFIGURATION_FIELDS}
    measured = {"knobs": deployed_knobs(run), "engine_version": run.engine_version}
    return Configuration(**(fields | measured))


def one_server(configuration: Configuration, replicas: int) -> Configuration:
    """Return the vLLM start of one host's replicas: of all, where they are independent.

    vLLM would share a model's experts among them: there, the start is one replica's.
    """
    start = start_of_replicas(configuration, replicas)
    return start if replicas_of(start) == replicas else configuration


def command(configuration: Configuration, replicas: int = 1, model_path: str | None = None) -> str:
    """Return what to type (vLLM) or to write (HF) to deploy replicas on one host.

    Independent replicas of vLLM are one server's; otherwise the line is one replica's.
    """
    if configuration.engine != "hf":
        return serve_line(one_server(configuration, replicas), model_path)
    model, n_gpus = model_path or configuration.model, configuration.n_gpus
    batch = f"(prompts, batch_size={configuration.batch_size})"
    if configuration.gpu.startswith("CPU:"):
        return f'pipeline("text-generation", model="{model}"){batch}'
    # A pipeline takes the GPUs that it sees.
    visible = ",".join(str(index) for index in range(n_gpus))
    return (
        f'CUDA_VISIBLE_DEVICES={visible}: pipeline("text-generation", model="{model}", '
        f'device_map="auto"){batch}'
    )


def how_often(candidate: Candidate, gpu_name: str) -> str:
    """Return how often the line to deploy is started; nothing where once is enough."""
    if candidate.replicas == 1:
        return ""
    if candidate.engine == "hf":
        return f"one program for each of the {candidate.replicas} replicas, each with its own GPUs"
    if "--data-parallel-size" not in candidate.command:
        return (
            f"one server for each of the {candidate.replicas} replicas, each with GPUs "
            "(CUDA_VISIBLE_DEVICES) and a port of its own"
        )
    first, *rest = on_hosts(candidate.replicas, candidate.n_gpus, find_gpu(gpu_name))
    if first.hosts == 1 and not rest:
        return ""
    last = "".join(f", and with --data-parallel-size {r} on one more" for _, r in rest)
    return f"on each of {first.hosts} hosts{last}" if first.hosts > 1 else f"on one host{last}"


def plan_in_words(candidate: Candidate) -> str:
    """Return replicas and GPUs, as in "8 x 1 GPU" (eight replicas of one GPU each)."""
    return f"{candidate.replicas} x {count_gpus(candidate.n_gpus)}"


def count_gpus(n_gpus: int) -> str:
    """Return "1 GPU" or "4 GPUs"."""
    return "1 GPU" if n_gpus == 1 else f"{n_gpus} GPUs"


_STEP: Final = 1.2


def frontier(ranked: Sequence[Candidate], objective: str, most: int) -> list[Candidate]:
    """Return the best, then what gives up some of the objective for speed to the single user.

    Each serves one user at least a fifth faster than the one before; of these ``most``, the ends
    and what lies most evenly between them.

    Args:
        ranked: Candidates of one query, the recommended one first.
    """
    kept, fastest = [ranked[0]], ranked[0].tok_s_per_user or 0.0
    for candidate in sorted(ranked[1:], key=lambda c: (-score(c, objective), c.n_gpus)):
        speed = candidate.tok_s_per_user
        if speed is not None and speed > fastest * _STEP:
            kept.append(candidate)
            fastest = speed
    return _thin(kept, most)


def _thin(kept: list[Candidate], most: int) -> list[Candidate]:
    """Return the first, the last and as many between as there is room for, evenly."""
    if len(kept) <= most or most < 2:
        return kept[:most]
    step = (len(kept) - 1) / (most - 1)
    return [kept[round(i * step)] for i in range(most)]
