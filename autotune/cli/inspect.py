"""Commands that look: doctor, gpus, models, ui."""

import click

from autotune.cli.options import (
    gpu_file_option,
    json_option,
    like_option,
    tracking_uri_option,
)
from autotune.cli.terminal import echo_json, echo_remarks, show, terminable


@click.command()
@gpu_file_option
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
@click.argument("filter_text", required=False, default="", metavar="[TEXT]")
@gpu_file_option
@json_option
def gpus(filter_text: str, as_json: bool) -> None:
    """List the GPUs that are known, or those whose name contains TEXT.

    A GPU that the catalogue lacks is described in a TOML file, given by --gpu-file, by
    AUTOTUNE_GPU_FILE, or kept as ~/.config/autotune/gpus.toml (under XDG_CONFIG_HOME where that is
    set). Runs measured on it carry its sheet, so that others can use them.

    \b
      [gpus."MY-GPU"]
      vendor = "nvidia"         # nvidia, amd, intel, habana, other
      architecture = "ada"
      memory_gb = 24            # as the driver reports it, in 2**30 bytes
      bandwidth_gbs = 432       # of the memory, in 10**9 bytes/s
      fp16_tflops = 158.5       # dense, with fp32 accumulation
      fp32_tflops = 39.6        # of the vector units
      interconnect = "PCIe 4"
      interconnect_gbs = 64     # of one GPU, both directions
      max_gpus = 8              # of one host
      tdp_w = 210
      year = 2023
      source = "its datasheet"
      # where it has them: bf16_tflops, fp8_tflops, fp4_tflops, int8_tops
      # other names it goes by: aliases = ["NVIDIA My GPU"]; and note = "..."

    \b
      [short_names]             # a name that several parts share, the likeliest first
      "MY" = ["MY-GPU", "L4"]

    \b
    Example:
      autotune gpus rtx
      autotune gpus --json
    """
    from autotune.views.catalog_tables import gpu_rows, gpu_table

    if as_json:
        echo_json(gpu_rows(filter_text))
    else:
        show(gpu_table(filter_text))


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
