"""Commands that measure and keep: run, import, sync, export, demo."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotune.cli.options import (
    complete_gpu,
    fleet_option,
    gpu_file_option,
    json_option,
    like_option,
    model_option,
    read_counts,
    set_option,
    tracking_uri_option,
    with_options,
)
from autotune.cli.terminal import echo_json, echo_remarks, show, terminable
from autotune.store.location import default_uri

if TYPE_CHECKING:
    from autotune.schema.study_spec import StudySpec

_SEARCH_OPTIONS = (
    click.option(
        "--strategy",
        help="grid: everything, in order. random: a seeded draw. tpe: Optuna. surrogate: the "
        "recommender's model, by expected improvement.  [default: grid]",
    ),
    click.option("--max-trials", type=int, help="Configurations to measure in all."),
    click.option("--max-time", type=float, help="Seconds this session may take."),
    click.option(
        "--max-gpu-hours", type=float, help="GPUs x hours this session may take, starts included."
    ),
    click.option("--max-ttft-ms", type=float, help="Limit for the mean time to first token."),
    click.option("--max-tpot-ms", type=float, help="Limit for the mean time per output token."),
    click.option(
        "--exhaustive",
        is_flag=True,
        help="Measure flat sweeps to their end. Otherwise a grid measures the largest batch that "
        "fits, then goes up from the smallest, and ends where a batch size brought less than 2 % "
        "over the one below it and nothing beyond is more than 2 % faster than the best so far.",
    ),
    click.option(
        "--kept",
        metavar="N_GPUSxBATCH",
        help="The configuration served until now, as in 2x64 (or hf:1x16): measured first.",
    ),
    click.option("--seed", type=int, help="Seed of prompts and search.  [default: 0]"),
)

_WORKLOAD_OPTIONS = (
    click.option(
        "--mode",
        help="closed_batch: all prompts of a batch at once. stream: as many in flight as the batch "
        "size says. serving: the same through the engine's HTTP server.  [default: closed_batch]",
    ),
    click.option("--input-len", type=int, help="Prompt tokens a request.  [default: 512]"),
    click.option("--output-len", type=int, help="Generated tokens a request.  [default: 128]"),
    click.option(
        "--dataset-name",
        help="random token ids, or code_completion (190 prompt tokens unless --input-len says "
        "otherwise).  [default: random]",
    ),
    click.option(
        "--dataset-path",
        type=click.Path(),
        help='Prompts from JSON lines: {"prompt": "..."} or {"prompt_token_ids": [...]}, with '
        "output_len in every line or in none.",
    ),
    click.option("--length-distribution", help="fixed, uniform or lognormal.  [default: fixed]"),
    click.option(
        "--length-spread",
        type=float,
        help="Half width of uniform, deviation of lognormal lengths, as a share of the mean.",
    ),
    click.option(
        "--num-prompts",
        type=int,
        help="Requests of a pass of stream and serving.  [default: 4 x batch size, 8 at least]",
    ),
    click.option(
        "--request-rate",
        type=float,
        help="Requests a second offered in serving.  [default: the next as soon as one ends]",
    ),
    click.option("--burstiness", type=float, help="1 is a Poisson process.  [default: 1]"),
)


@click.command()
@click.argument("study", required=False, type=click.Path(path_type=Path))
@model_option()
@like_option
@click.option("--engine", "engines", help="Engines, comma separated: vllm, hf.  [default: vllm]")
@click.option(
    "--gpu",
    shell_complete=complete_gpu,
    help="The GPU this host must have.  [default: what is here]",
)
@gpu_file_option
@click.option(
    "--n-gpus", callback=read_counts, help="GPUs of one replica: 1,2 or 1:8.  [default: 1]"
)
@click.option(
    "--batch-sizes", callback=read_counts, help="1:512 doubles, 1,3,7 lists.  [default: 1:512]"
)
@with_options(_WORKLOAD_OPTIONS)
@click.option("--dtype", help="auto, float32, float16 or bfloat16.  [default: auto]")
@click.option("--quantization", help="The engine's quantization method.")
@set_option
@click.option(
    "--time-budget", type=float, help="Seconds of repeats a configuration.  [default: 60]"
)
@with_options(_SEARCH_OPTIONS)
@click.option(
    "--start-timeout", type=float, help="Seconds an engine start may take.  [default: 1800]"
)
@click.option(
    "--stall-timeout",
    type=float,
    help="Seconds without a finished pass after which a run counts as hung.  [default: 600]",
)
@click.option("--trust-remote-code", is_flag=True, help="Let the model run its own code.")
@click.option(
    "--journal",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write here, and to MLflow only if --tracking-uri is given.",
)
@click.option("--resume", is_flag=True, help="Go on with the journal; repeat nothing.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what would be measured on the GPU named (here or not), what the journal leaves of "
    "it, and whether memory allows it; start nothing.",
)
@fleet_option
@click.option("--tracking-uri", help="MLflow tracking URI.  [default: sqlite:///mlruns/mlflow.db]")
@json_option
def run(
    study: Path | None,
    journal: Path | None,
    resume: bool,
    dry_run: bool,
    fleet: str | None,
    tracking_uri: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Measure a study's configurations, journal them and log them to MLflow.

    STUDY is a YAML file with the same settings; options win over it. Other strategies than grid
    measure the engine's default first; budgets leave that and --kept alone.

    \b
    Example:
      autotune demo --model-only demo-model
      autotune run --model demo-model --engine hf --batch-sizes 1:16 --input-len 64 --output-len 32
    """
    from autotune.catalog.naming import name_model
    from autotune.schema.loading import study_from_options
    from autotune.study.run import run_study

    spec = study_from_options(study, options)
    remark = name_model(spec.model, spec.like).remark
    echo_remarks([] if remark is None else [remark])
    if dry_run:
        _show_preview(spec, journal, fleet, as_json)
        return
    surrogate = None
    if spec.strategy == "surrogate":
        from recommender.commands.search import surrogate_search

        surrogate = surrogate_search(tracking_uri or default_uri())
    with terminable():
        result = run_study(
            spec,
            journal=journal,
            resume=resume,
            tracking_uri=tracking_uri,
            surrogate=surrogate,
            fleet=fleet,
        )
    if as_json:
        echo_json([record.to_dict() for record in result.records])
    else:
        click.echo(result.summary)
    if result.best is None:
        raise click.exceptions.Exit(1)


def _show_preview(
    spec: "StudySpec", journal: Path | None, fleet: str | None, as_json: bool
) -> None:
    from autotune.study.preview import preview

    if fleet is not None:
        raise click.UsageError(
            "--dry-run asks no fleet: name the GPU with --gpu, leave --fleet out"
        )
    previewed = preview(spec, journal)
    if as_json:
        echo_json(previewed.to_dicts())
    else:
        show(previewed.table)
        click.echo(previewed.summary)


@click.command("import")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "format_name",
    default="auto",
    show_default=True,
    help="auto recognises each by its content: runs (RunRecords as JSON lines or CSV), published "
    "(the collected table), infpop, llm-inference-bench, llm-pilot, ml-energy, aiconfigurator, "
    "trtllm, vllm-bench, guidellm, aiperf, optimum-benchmark.",
)
@click.option("--download", is_flag=True, help="PATHS name public sources: fetch them first.")
@click.option("--engine", help="Engine behind the server that guidellm or aiperf loaded.")
@click.option("--gpu", help="GPU, for files that do not say it (vllm-bench, guidellm, aiperf).")
@click.option("--n-gpus", type=click.IntRange(min=1), help="GPUs of one replica, likewise.")
@click.option("--engine-version", help="Version of the engine, likewise.")
@click.option("--model", help="The model, where the file has only a path or an alias.")
@click.option("--batch-size", type=click.IntRange(min=1), help="Sequences in flight, likewise.")
@click.option("--input-len", type=click.IntRange(min=1), help="Prompt tokens, likewise.")
@click.option("--output-len", type=click.IntRange(min=1), help="Generated tokens, likewise.")
@gpu_file_option
@tracking_uri_option
@json_option
def import_(
    paths: tuple[Path, ...],
    format_name: str,
    download: bool,
    tracking_uri: str,
    as_json: bool,
    **added: Any,
) -> None:
    """Log runs measured elsewhere: journals, exports, other people's results.

    PATHS are files, folders, or names of sources (`aiconfigurator` reads the installed package).
    Good rows go in, bad rows go to FILE.rejected.jsonl with the reason (exit 1). Importing a file
    twice adds nothing.

    \b
    Example:
      autotune import gpu-node.jsonl
      autotune import bench-results/ --gpu H100 --n-gpus 1 --engine-version 0.26.0
      autotune import llm-pilot --download
    """
    from autotune.importers.base import ImportOptions
    from autotune.importers.run import import_files

    options = ImportOptions(**added)
    summary = import_files(
        paths, tracking_uri, format_name=format_name, options=options, download=download
    )
    if as_json:
        echo_json(summary.to_dict())
    else:
        click.echo(summary.text)
    if summary.n_rejected:
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("journals", nargs=-1, type=click.Path(path_type=Path))
@tracking_uri_option
@json_option
def sync(journals: tuple[Path, ...], tracking_uri: str, as_json: bool) -> None:
    """Log what a store missed while it was away: runs of journals, recommendations.

    JOURNALS are files; without any, all beside the store. What it holds is not logged twice.

    \b
    Example:
      autotune sync
      autotune sync study.jsonl --tracking-uri http://mlflow.example:5000
    """
    from autotune.store.tracking.store import Store
    from autotune.store.transfer import sync_journals
    from recommender.reports.tracking import log_pending

    synced = sync_journals(journals, tracking_uri)
    n_documents = log_pending(Store(tracking_uri))
    if as_json:
        echo_json({"journals": [s.to_dict() for s in synced], "documents": n_documents})
    else:
        for one in synced:
            click.echo(one.text)
        click.echo(
            f"{len(synced)} journals, {n_documents} recommendations and confirmations logged"
        )
    if any(one.error for one in synced):
        raise click.exceptions.Exit(1)


@click.command()
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@tracking_uri_option
@json_option
def export(output: Path, tracking_uri: str, as_json: bool) -> None:
    """Write every run of the store as RunRecords: JSON lines, or CSV if OUTPUT ends in .csv.

    \b
    Example:
      autotune export runs.jsonl
    """
    from autotune.store.transfer import export_runs

    count = export_runs(output, tracking_uri)
    if as_json:
        echo_json({"runs": count, "output": str(output)})
    else:
        click.echo(f"{count} runs written to {output}")


@click.command()
@click.option(
    "--model-only",
    type=click.Path(path_type=Path, file_okay=False),
    help="Only build the demo's model in this directory.",
)
@tracking_uri_option
@json_option
def demo(model_only: Path | None, tracking_uri: str, as_json: bool) -> None:
    """Do the whole job in small: study a tiny model here, train, recommend, confirm.

    \b
    Example:
      autotune demo
    """
    if model_only is not None:
        from autotune.engines.demo_model import build_demo_model

        built = str(build_demo_model(model_only))
        echo_json({"model": built}) if as_json else click.echo(built)
        return
    from recommender.commands.demo import run_demo

    with terminable():
        if as_json:
            echo_json(run_demo(tracking_uri).to_dict())
        else:
            run_demo(tracking_uri, echo=click.echo, show=show)
