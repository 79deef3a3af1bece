"""Commands that look: doctor, gpus, models, ui."""

import click

from autotune.cli.options import (
    json_option,
    like_option,
    tracking_uri_option,
)
from autotune.cli.terminal import echo_json, echo_remarks, show, terminable


@click.command()
@tracking_uri_option
@json_option
def doctor(tracking_uri: str, as_json: bool) -> None:
    """Check Python, engines, GPUs, driver, store and surrogate, and say what to do.

    Exit code 1 if something stands in the way.

    \b
    Example:
      autotune doctor
    """
    from autotune.cli.doctor import check_table, examine, surrogate_check

    checks = [*examine(tracking_uri), surrogate_check(tracking_uri)]
    if as_json:
        echo_json([check.to_dict() for check in checks])
    else:
        show(check_table(checks))
    if any(check.state == "problem" for check in checks):
        raise click.exceptions.Exit(1)


@click.command()
@json_option
def gpus(as_json: bool) -> None:
    """List the GPUs of the catalogue.

    \b
    Example:
      autotune gpus --json
    """
    from autotune.views.catalog_tables import gpu_rows, gpu_table

    if as_json:
        echo_json(gpu_rows())
    else:
        show(gpu_table())


@click.command()
@click.argument("text", required=False, default="", metavar="[TEXT]")
@like_option
@json_option
def models(text: str, like: str | None, as_json: bool) -> None:
    """List the models of the catalogue whose name contains TEXT.

    Where none does, and for a directory, say what TEXT is taken for as a model's name.

    \b
    Example:
      autotune models llama-3
      autotune models TheBloke/Mistral-7B-Instruct-v0.2-AWQ
    """
    from autotune.views.catalog_tables import model_rows, model_table

    rows = model_rows(text, like)
    echo_remarks(row["remark"] for row in rows if row["remark"] is not None)
    if as_json:
        echo_json(rows)
    else:
        show(model_table(rows))


@click.command()
@click.option("--port", type=int, default=5000, show_default=True, help="Port on this machine.")
@tracking_uri_option
def ui(port: int, tracking_uri: str) -> None:
    """Open MLflow's UI on the store (on this machine only), after logging what is pending.

    \b
    Example:
      autotune ui --port 5001
    """
    from autotune.store.tracking.saved_views import VIEWS, address
    from autotune.store.tracking.store import Store, serve_ui
    from recommender.commands.report import attach_reports
    from recommender.reports.tracking import log_pending

    store = Store(tracking_uri)
    log_pending(store)
    attach_reports(store, lambda text: click.echo(text, err=True))
    for view in VIEWS:
        click.echo(f"{view.name}: {address(store.experiment_id, view, port)}", err=True)
    with terminable():
        raise click.exceptions.Exit(serve_ui(tracking_uri, port))
