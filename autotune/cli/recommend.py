"""The command that recommends: its options, one target or several."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotune.cli.advise import confirm_at_once
from autotune.cli.options import (
    complete_gpu,
    gpu_file_option,
    json_option,
    like_option,
    model_option,
    tracking_uri_option,
    with_options,
)
from autotune.cli.served import FROM_METRICS_OPTIONS, served_load
from autotune.cli.terminal import echo_json, hint, show

if TYPE_CHECKING:
    from autotune.schema.served_load import ServedLoad
    from recommender.recommendation.query import Query

_RECOMMEND_OPTIONS = (
    model_option(required=True),
    like_option,
    click.option(
        "--target-gpu",
        required=True,
        shell_complete=complete_gpu,
        metavar="GPU[,GPU...]",
        help="The GPU to move to (`autotune gpus`); several give one line each.",
    ),
    click.option(
        "--source-gpu",
        shell_complete=complete_gpu,
        help="The GPU served on until now: does moving pay?",
    ),
    click.option("--engine", default="vllm", show_default=True, help="vllm, hf or all."),
    click.option(
        "--max-gpus", type=int, default=8, show_default=True, help="The GPUs at hand, of all hosts."
    ),
    click.option("--max-replicas", type=int, help="Most replicas.  [default: what the GPUs hold]"),
    click.option(
        "--max-batch-size", type=int, default=1024, show_default=True, help="Largest to consider."
    ),
    click.option("--input-len", type=int, default=512, show_default=True, help="Prompt tokens."),
    click.option(
        "--output-len", type=int, default=128, show_default=True, help="Generated tokens."
    ),
    *FROM_METRICS_OPTIONS,
    click.option(
        "--dtype", default="auto", show_default=True, help="auto, float32, float16, bfloat16."
    ),
    click.option("--quantization", help="Weight quantization, for example fp8."),
    click.option(
        "--kv-cache-dtype", default="auto", show_default=True, help="Of vLLM's cache: auto or fp8."
    ),
    click.option(
        "--objective",
        default="throughput",
        show_default=True,
        help="throughput of all the GPUs at hand. replica: of one replica, however many GPUs it "
        "takes. per-gpu: of a GPU. cost: least $ a million tokens. energy: least J a token. "
        "goodput: throughput within the limits.",
    ),
    click.option("--max-ttft-ms", type=float, help="Limit for the mean time to first token."),
    click.option("--max-tpot-ms", type=float, help="Limit for the mean time per output token."),
    click.option(
        "--price",
        multiple=True,
        metavar="GPU=DOLLARS",
        help="What an hour of one GPU costs, as in H100=2.9; can be repeated.",
    ),
    click.option(
        "--price-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The same as YAML or JSON; --price wins.",
    ),
    click.option(
        "--tolerance",
        type=float,
        default=0.02,
        show_default=True,
        help="Share of the best given up for fewer GPUs a replica, then for the smaller batch.",
    ),
    click.option("--top", type=int, default=5, show_default=True, help="Choices to list."),
    click.option(
        "--confirm",
        "confirm_runs",
        type=int,
        default=0,
        metavar="N",
        help="Confirm at once with N runs on this host.",
    ),
    click.option(
        "--log",
        is_flag=True,
        help="Log to MLflow before returning (else the next command that opens the store does).",
    ),
)


@click.command()
@with_options(_RECOMMEND_OPTIONS)
@gpu_file_option
@tracking_uri_option
@json_option
def recommend(
    confirm_runs: int,
    log: bool,
    tracking_uri: str,
    as_json: bool,
    from_metrics: Sequence[str],
    scrape_seconds: float | None,
    **options: Any,
) -> None:
    """Recommend the batch size and GPU count for a model on a GPU.

    \b
    Example:
      autotune recommend --model meta-llama/Llama-3.1-8B --target-gpu H100 --source-gpu A100
    """
    from recommender.commands.recommend import advise

    served = served_load(from_metrics, scrape_seconds)
    first, *others = _targets(options["target_gpu"])
    query = _query(**{**options, "target_gpu": first})
    if others:
        targets = [first, *others]
        _compare(query, targets, tracking_uri, confirm_runs, served, log=log, as_json=as_json)
        return
    made = advise(query, tracking_uri, log=log, served=served)
    answer = made.to_dict()
    if not as_json:
        from recommender.commands.context import has_store
        from recommender.reports.answer_tables import recommendation_view

        show(recommendation_view(made))
        hint(is_first=not has_store(tracking_uri))
    if confirm_runs:
        answer["confirmation"] = confirm_at_once(
            made.recommendation_id, tracking_uri, confirm_runs, quiet=as_json
        )
    if as_json:
        echo_json(answer)


def _targets(text: str) -> list[str]:
    """Return the names of a list of GPUs; an empty one stays, to be refused as unknown."""
    return [name.strip() for name in text.split(",")]


def _compare(
    query: "Query",
    targets: Sequence[str],
    tracking_uri: str,
    confirm_runs: int,
    served: "ServedLoad | None",
    *,
    log: bool,
    as_json: bool,
) -> None:
    from recommender.commands.recommend import compare
    from recommender.reports.answer_tables import comparison_view

    if confirm_runs:
        raise click.UsageError(
            "--confirm runs on one target: ask for it alone, or `autotune confirm` one of the ids"
        )
    made = compare(query, targets, tracking_uri, log=log, served=served)
    if as_json:
        echo_json(made.to_dict())
    else:
        show(comparison_view(made))


def _query(
    *,
    input_len: int,
    output_len: int,
    max_ttft_ms: float | None,
    max_tpot_ms: float | None,
    price: Sequence[str],
    price_file: Path | None,
    **fields: Any,
) -> "Query":
    """Return what the options ask; ``fields`` are the query's own."""
    from autotune.schema.workload import Slo, Workload
    from recommender.recommendation.objectives import gather_prices
    from recommender.recommendation.query import Query

    return Query(
        workload=Workload(input_len=input_len, output_len=output_len),
        slo=Slo(max_ttft_ms=max_ttft_ms, max_tpot_ms=max_tpot_ms),
        prices=gather_prices(price, price_file),
        **fields,
    )
