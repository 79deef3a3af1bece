"""Commands about advice: explain, confirm, predict, report."""

import json
from pathlib import Path
from typing import Any

import click

from autotune.cli.options import (
    complete_reference,
    fleet_option,
    gpu_file_option,
    json_option,
    like_option,
    set_option,
    tracking_uri_option,
    with_options,
)
from autotune.cli.terminal import echo_json, echo_remarks, show, terminable

_CONFIRM_OPTIONS = (
    click.option(
        "--runs",
        type=click.IntRange(min=1),
        default=3,
        show_default=True,
        help="Most runs to spend.",
    ),
    click.option(
        "--stop-regret",
        type=click.FloatRange(min=0.0, max=1.0, max_open=True),
        default=0.0,
        show_default=True,
        metavar="SHARE",
        help="Stop before the runs are spent once nothing left is, with 90 % confidence, better "
        "than the best measured by more than this share (0.02 is 2 %) and the kept configuration "
        "was run. 0 spends them all.",
    ),
    click.option(
        "--replay",
        type=click.Path(),
        help="Recorded runs to take as the measuring device (no GPU needed).",
    ),
    click.option(
        "--time-budget",
        type=float,
        default=60.0,
        show_default=True,
        help="Seconds of repeats a configuration.",
    ),
)


@click.command()
@click.argument("recommendation", shell_complete=complete_reference)
@click.option("--top", type=click.IntRange(min=1), help="Candidates to explain.  [default: all]")
@gpu_file_option
@tracking_uri_option
@json_option
def explain(recommendation: str, top: int | None, tracking_uri: str, as_json: bool) -> None:
    """Say what a recommendation rests on: causes of the time, the trees' reasons, measured runs.

    RECOMMENDATION is its id, its file, or what `recommend --json` printed.

    \b
    Example:
      autotune explain 0123456789ab --top 3
    """
    from recommender.commands.explain import explain_recommendation
    from recommender.reports.tables import explanation_view

    made = explain_recommendation(recommendation, tracking_uri, top=top)
    if as_json:
        echo_json(made.to_dict())
    else:
        show(explanation_view(made))


@click.command()
@click.argument("recommendation", shell_complete=complete_reference)
@with_options(_CONFIRM_OPTIONS)
@fleet_option
@set_option
@gpu_file_option
@tracking_uri_option
@json_option
def confirm(
    recommendation: str,
    runs: int,
    stop_regret: float,
    replay: str | None,
    time_budget: float,
    fleet: str | None,
    knobs: dict[str, Any],
    tracking_uri: str,
    as_json: bool,
) -> None:
    """Prove a recommendation with a few runs on the target, and name the winner.

    RECOMMENDATION is its id, its file, or what `recommend --json` printed. The configuration kept
    from the source GPU is always among the first three runs. The certificate at the end bounds
    what the winner can still be behind the best configuration that can be run.

    \b
    Example:
      autotune confirm 0123456789ab --replay target-runs.jsonl --runs 5 --stop-regret 0.02
    """
    from autotune.schema.workload import MeasurePolicy
    from recommender.commands.confirm import confirm_by_replay, confirm_here, knobs_by_engine
    from recommender.reports.tables import confirmation_view

    if replay is not None:
        made = confirm_by_replay(
            recommendation, Path(replay), tracking_uri, runs=runs, stop_regret=stop_regret
        )
    else:
        with terminable():
            made = confirm_here(
                recommendation,
                tracking_uri,
                runs=runs,
                stop_regret=stop_regret,
                policy=MeasurePolicy(time_budget_s=time_budget),
                knobs=knobs_by_engine(knobs),
                fleet=fleet,
            )
    echo_remarks(made.remarks)
    if as_json:
        echo_json(made.to_dict())
    else:
        show(confirmation_view(made))
    if made.winner is None:
        raise click.exceptions.Exit(1)


def confirm_at_once(
    recommendation_id: str, tracking_uri: str, runs: int, *, quiet: bool
) -> dict[str, Any]:
    """Confirm what was just recommended with runs on this host, and return what they said."""
    from recommender.commands.confirm import confirm_here
    from recommender.reports.tables import confirmation_view

    with terminable():
        made = confirm_here(recommendation_id, tracking_uri, runs=runs)
    echo_remarks(made.remarks)
    if not quiet:
        show(confirmation_view(made))
    return made.to_dict()


@click.command()
@click.argument("configurations", type=click.Path(path_type=Path, dir_okay=False))
@gpu_file_option
@like_option
@tracking_uri_option
@json_option
def predict(configurations: Path, like: str | None, tracking_uri: str, as_json: bool) -> None:
    """Predict the throughput of configurations, one JSON object a line, in the same order.

    \b
    Example:
      echo '{"engine":"vllm","model":"meta-llama/Llama-3.1-8B","gpu":"H100","n_gpus":1,
      "batch_size":64,"input_len":512,"output_len":128}' | tr -d '\\n' > configs.jsonl
      autotune predict configs.jsonl --json
    """
    from recommender.commands.predict import predict_file

    rows = predict_file(configurations, tracking_uri, like, lambda text: echo_remarks([text]))
    for row in rows:
        if as_json:
            click.echo(json.dumps(row, allow_nan=False))
        else:
            click.echo(
                f"{row['engine']} {row['model']} {row['n_gpus']} x {row['gpu']} "
                f"batch {row['batch_size']}: {row['output_throughput']:,.0f} tok/s "
                f"({row['low']:,.0f} - {row['high']:,.0f})"
            )


@click.command()
@click.argument("reference", shell_complete=complete_reference)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A file ending in .html (everything inside) or .md (pictures beside it), or a folder for "
    "both.  [default: reports/ID beside the store]",
)
@click.option("--static", is_flag=True, help="HTML without the interactive charts: 2 MB less.")
@click.option(
    "--with-tpe",
    is_flag=True,
    help="Draw a confirmation beside what Optuna's TPE would have reached (ten replayed studies).",
)
@gpu_file_option
@tracking_uri_option
@json_option
def report(
    reference: str,
    output: Path | None,
    static: bool,
    with_tpe: bool,
    tracking_uri: str,
    as_json: bool,
) -> None:
    """Write the report of a study or a recommendation, to attach to a ticket.

    REFERENCE is a study's id, a recommendation's id or file, or all: every run of the store and how
    the advice did. It goes among the artifacts in MLflow too. REFERENCE ledger only prints how the
    advice did, one line a confirmation.

    \b
    Example:
      autotune report 0123456789ab --output report.html
      autotune report all
      autotune report ledger
    """
    from recommender.commands.report import read_ledger
    from recommender.reports.ledger_summary import LEDGER

    if reference == LEDGER:
        kept = read_ledger(tracking_uri)
        echo_json(kept.to_dict()) if as_json else click.echo(kept.markdown)
        return
    from recommender.commands.report import report as write_report

    made = write_report(reference, tracking_uri, output, is_live=not static, with_tpe=with_tpe)
    if as_json:
        echo_json(made.to_dict())
    else:
        click.echo("\n".join([made.summary, *map(str, made.files)]))
