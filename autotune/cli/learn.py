"""Commands that learn: train, evaluate."""

from pathlib import Path

import click

from autotune.cli.options import (
    gpu_file_option,
    json_option,
    tracking_uri_option,
)
from autotune.cli.terminal import echo_json, echo_remarks, show


@click.command()
@click.option(
    "--promote",
    type=click.Choice(["auto", "always", "never"]),
    default="auto",
    show_default=True,
    help="auto: only if it beats the surrogate in force on runs that neither has seen.",
)
@click.option(
    "--rollback",
    is_flag=True,
    help="Train nothing; put the champion before the present one in force again.",
)
@gpu_file_option
@tracking_uri_option
@json_option
def train(promote: str, rollback: bool, tracking_uri: str, as_json: bool) -> None:
    """Train the surrogate on the store's runs and register it in MLflow.

    The shipped surrogate is refined by the store's runs, what was measured here last. It becomes
    the champion if it predicts left-out groups of these runs better than the surrogate in force.

    \b
    Example:
      autotune train
      autotune train --rollback
    """
    from autotune.views.display import busy
    from recommender.commands.train import roll_back, train_and_register

    with busy("training the surrogate, then the duel"):
        done = (
            roll_back(tracking_uri)
            if rollback
            else train_and_register(tracking_uri, promote=promote)
        )
    if as_json:
        echo_json(done.to_dict())
    else:
        click.echo(done.text)


@click.command()
@click.option(
    "--protocol",
    type=click.Choice(["migration", "leave-gpu-out", "leave-model-out"]),
    default="migration",
    show_default=True,
    help="What is hidden from the surrogate.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), help="Runs to evaluate on.  [default: the store]"
)
@click.option("--engine", default="all", show_default=True, help="vllm, hf or all.")
@gpu_file_option
@tracking_uri_option
@json_option
def evaluate(
    protocol: str, data: Path | None, engine: str, tracking_uri: str, as_json: bool
) -> None:
    """Backtest recommendations on recorded landscapes that the surrogate has not seen.

    \b
    Example:
      autotune evaluate --protocol migration --data runs.jsonl --engine vllm
    """
    from autotune.views.display import busy
    from recommender.commands.evaluate import evaluate_data, evaluation_table

    with busy("fitting without each fold, then choosing in it"):
        done = evaluate_data(data, tracking_uri, protocol=protocol, engine=engine)
    echo_remarks(done.remarks)
    if as_json:
        echo_json(done.rows)
    else:
        show(evaluation_table(done.rows))
