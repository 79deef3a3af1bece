"""The recommender from Python: the same questions and answers as on the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.schema.record import RunRecord
from autotune.schema.workload import MeasurePolicy, Workload
from autotune.store.location import default_uri
from recommender.commands.recommend import advise
from recommender.confirmation.result import Confirmation
from recommender.recommendation.recommendation import Recommendation


def recommend(
    model: str,
    target_gpu: str,
    *,
    source_gpu: str | None = None,
    input_len: int = 512,
    output_len: int = 128,
    prices: Mapping[str, float] | None = None,
    tracking_uri: str | None = None,
    **options: Any,
) -> Recommendation:
    """Recommend the batch size and GPU count for a model on a GPU.

    Args:
        model: Catalogue name, or a directory with a config.json.
        prices: GPU -> dollars an hour of one of them.
        options: Further options of ``autotune recommend`` by their names with underscores:
            ``engine``, ``max_gpus``, ``objective``, ``max_ttft_ms`` and so on.

    Raises:
        UsageError: For an unknown model, GPU, engine or objective.
        NothingFitsError: When no configuration fits the target.
        LimitsNotMetError: When none that fits is expected to meet the limits.
    """
    return advise(
        model,
        tracking_uri or default_uri(),
        workload=Workload(input_len=input_len, output_len=output_len),
        target_gpu=target_gpu,
        source_gpu=source_gpu,
        price=[f"{gpu}={dollars}" for gpu, dollars in (prices or {}).items()],
        **options,
    )


def confirm(
    recommendation: Recommendation | str,
    *,
    runs: int = 3,
    stop_regret: float = 0.0,
    replay: Path | str | Sequence[RunRecord] | None = None,
    time_budget: float = 60.0,
    knobs: Mapping[str, Mapping[str, Any]] | None = None,
    tracking_uri: str | None = None,
) -> Confirmation:
    """Prove a recommendation with a few runs on this host, or by runs recorded elsewhere.

    Args:
        recommendation: What ``recommend`` returned, or its id or file.
        runs: Most runs to spend.
        stop_regret: Stop before, once nothing left is better by more than this share.
        replay: Recorded runs, or a file of them, to take as the measuring device.
        time_budget: Seconds of repeats a configuration.
        knobs: Engine -> further engine arguments.

    Raises:
        InvalidConfigError: When there is no such recommendation, or it is not for this host.
    """
    from autotune.importers.run import read_file
    from recommender.commands.confirm import confirm_by_records, confirm_here

    reference = (
        recommendation if isinstance(recommendation, str) else recommendation.recommendation_id
    )
    uri = tracking_uri or default_uri()
    if replay is None:
        return confirm_here(
            reference,
            uri,
            runs=runs,
            stop_regret=stop_regret,
            policy=MeasurePolicy(time_budget_s=time_budget),
            knobs=knobs,
        )
    records = read_file(Path(replay)).records if isinstance(replay, Path | str) else replay
    return confirm_by_records(reference, records, uri, runs=runs, stop_regret=stop_regret)
