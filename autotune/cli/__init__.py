"""The command line: each command parses, calls one function, and echoes the result.

Results go to standard output, progress and remarks to standard error. Exit codes: 0 done, 1 failed,
2 usage, 130 interrupted.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from autotune import __version__
from autotune.cli.completion import complete_gpu, complete_model, complete_reference
from autotune.cli.options import (
    confirm_options,
    fleet_option,
    json_option,
    read_counts,
    recommend_options,
    search_options,
    set_option,
    tracking_uri_option,
    train_options,
    workload_options,
)
from autotune.cli.terminal import AutotuneGroup, echo_json, echo_remarks, hint, show, terminable
from autotune.store.cache import default_uri

if TYPE_CHECKING:
    from autotune.schema.study_spec import StudySpec


@click.group(
    cls=AutotuneGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="autotune")
def main() -> None:
    """Find the batch size and GPU count to serve an LLM with, and prove it.

    \b
    Start here:
      autotune doctor
      autotune demo
      autotune recommend --model meta-llama/Llama-3.1-8B --target-gpu H100

    \b
    Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """


@main.command()
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option(
    "--model",
    shell_complete=complete_model,
    help="Catalogue name, or a directory with a config.json.",
)
@click.option("--engine", "engines", help="Engines, comma separated: vllm, hf.  [default: vllm]")
@click.option(
    "--gpu",
    shell_complete=complete_gpu,
    help="The GPU this host must have.  [default: what is here]",
)
@click.option(
    "--n-gpus", callback=read_counts, help="GPUs of one replica: 1,2 or 1:8.  [default: 1]"
)
@click.option(
    "--batch-sizes", callback=read_counts, help="1:512 doubles, 1,3,7 lists.  [default: 1:512]"
)
@workload_options
@click.option("--dtype", help="auto, float32, float16 or bfloat16.  [default: auto]")
@click.option("--quantization", help="The engine's quantization method.")
@set_option
@click.option(
    "--time-budget", type=float, help="Seconds of repeats a configuration.  [default: 60]"
)
@search_options
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
    from autotune.schema.study_options import study_from_options
    from autotune.study.run import run_study

    spec = study_from_options(study, options)
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


@main.command("import")
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
    from autotune.importers.run import ImportOptions, import_files

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


@main.command()
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


@main.command()
@train_options
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
    from autotune.views.progress import busy
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


@main.command()
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
    from autotune.views.progress import busy
    from recommender.commands.evaluate import evaluate_data, evaluation_table

    with busy("fitting without each fold, then choosing in it"):
        done = evaluate_data(data, tracking_uri, protocol=protocol, engine=engine)
    echo_remarks(done.remarks)
    if as_json:
        echo_json(done.rows)
    else:
        show(evaluation_table(done.rows))


@main.command()
@click.argument("configurations", type=click.Path(path_type=Path, dir_okay=False))
@tracking_uri_option
@json_option
def predict(configurations: Path, tracking_uri: str, as_json: bool) -> None:
    """Predict the throughput of configurations, one JSON object a line, in the same order.

    \b
    Example:
      echo '{"engine":"vllm","model":"meta-llama/Llama-3.1-8B","gpu":"H100","n_gpus":1,
      "batch_size":64,"input_len":512,"output_len":128}' | tr -d '\\n' > configs.jsonl
      autotune predict configs.jsonl --json
    """
    from recommender.commands.predict import predict_file

    for row in predict_file(configurations, tracking_uri):
        if as_json:
            click.echo(json.dumps(row, allow_nan=False))
        else:
            click.echo(
                f"{row['engine']} {row['model']} {row['n_gpus']} x {row['gpu']} "
                f"batch {row['batch_size']}: {row['output_throughput']:,.0f} tok/s "
                f"({row['low']:,.0f} - {row['high']:,.0f})"
            )


@main.command()
@recommend_options
@tracking_uri_option
@json_option
def recommend(
    model: str,
    confirm_runs: int,
    tracking_uri: str,
    as_json: bool,
    input_len: int,
    output_len: int,
    **options: Any,
) -> None:
    """Recommend the batch size and GPU count for a model on a GPU.

    \b
    Example:
      autotune recommend --model meta-llama/Llama-3.1-8B --target-gpu H100 --source-gpu A100
    """
    from autotune.schema.study_spec import Workload
    from recommender.commands.recommend import advise

    made = advise(
        model,
        tracking_uri,
        workload=Workload(input_len=input_len, output_len=output_len),
        **options,
    )
    answer = made.to_dict()
    if not as_json:
        from recommender.commands.context import has_store
        from recommender.reports.tables import recommendation_view

        show(recommendation_view(made))
        hint(is_first=not has_store(tracking_uri))
    if confirm_runs:
        answer["confirmation"] = _confirm_here(
            made.recommendation_id, tracking_uri, confirm_runs, quiet=as_json
        )
    if as_json:
        echo_json(answer)


@main.command()
@click.argument("recommendation", shell_complete=complete_reference)
@click.option("--top", type=click.IntRange(min=1), help="Candidates to explain.  [default: all]")
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
    from recommender.reports.explaining_view import explanation_view

    made = explain_recommendation(recommendation, tracking_uri, top=top)
    if as_json:
        echo_json(made.to_dict())
    else:
        show(explanation_view(made))


@main.command()
@click.argument("recommendation", shell_complete=complete_reference)
@confirm_options
@fleet_option
@set_option
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
    from autotune.schema.study_spec import MeasurePolicy
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


@main.command()
@tracking_uri_option
@json_option
def doctor(tracking_uri: str, as_json: bool) -> None:
    """Check Python, engines, GPUs, driver, store and surrogate, and say what to do.

    Exit code 1 if something stands in the way.

    \b
    Example:
      autotune doctor
    """
    from autotune.cli.doctor import check_table, examine
    from autotune.cli.health import surrogate_check

    checks = [*examine(tracking_uri), surrogate_check(tracking_uri)]
    if as_json:
        echo_json([check.to_dict() for check in checks])
    else:
        show(check_table(checks))
    if any(check.state == "problem" for check in checks):
        raise click.exceptions.Exit(1)


@main.command()
@json_option
def gpus(as_json: bool) -> None:
    """List the GPUs of the catalogue.

    \b
    Example:
      autotune gpus --json
    """
    from autotune.cli.inspect import gpu_rows, gpu_table

    if as_json:
        echo_json(gpu_rows())
    else:
        show(gpu_table())


@main.command()
@click.argument("filter_text", required=False, default="", metavar="[TEXT]")
@json_option
def models(filter_text: str, as_json: bool) -> None:
    """List the models of the catalogue whose name contains TEXT.

    \b
    Example:
      autotune models llama-3
    """
    from autotune.cli.inspect import model_rows, model_table

    if as_json:
        echo_json(model_rows(filter_text))
    else:
        show(model_table(filter_text))


@main.command()
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
    from recommender.commands.report import illustrate
    from recommender.reports.tracking import log_pending

    store = Store(tracking_uri)
    log_pending(store)
    illustrate(store, lambda text: click.echo(text, err=True))
    for view in VIEWS:
        click.echo(f"{view.name}: {address(store.experiment_id, view, port)}", err=True)
    with terminable():
        raise click.exceptions.Exit(serve_ui(tracking_uri, port))


@main.command()
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


@main.command()
@click.argument("output", type=click.Path(path_type=Path, dir_okay=False, writable=True))
@tracking_uri_option
@json_option
def export(output: Path, tracking_uri: str, as_json: bool) -> None:
    """Write every run of the store as RunRecords: JSON lines, or CSV if OUTPUT ends in .csv.

    \b
    Example:
      autotune export runs.jsonl
    """
    from autotune.store.exporting import export_runs

    count = export_runs(output, tracking_uri)
    if as_json:
        echo_json({"runs": count, "output": str(output)})
    else:
        click.echo(f"{count} runs written to {output}")


@main.command()
@click.argument("reference", shell_complete=complete_reference)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    help="A file ending in .html (everything inside) or .md (pictures beside it), or a folder for "
    "both.  [default: reports/ID beside the store]",
)
@click.option("--static", is_flag=True, help="HTML without the interactive charts: 2 MB less.")
@tracking_uri_option
@json_option
def report(
    reference: str, output: Path | None, static: bool, tracking_uri: str, as_json: bool
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
    from recommender.reports.ledger_summary import LEDGER, read_ledger

    if reference == LEDGER:
        kept = read_ledger(tracking_uri)
        echo_json(kept.to_dict()) if as_json else click.echo(kept.markdown)
        return
    from recommender.commands.reporting import report as write_report

    made = write_report(reference, tracking_uri, output, is_live=not static)
    if as_json:
        echo_json(made.to_dict())
    else:
        click.echo("\n".join([made.summary, *map(str, made.files)]))


def _confirm_here(
    recommendation_id: str, tracking_uri: str, runs: int, *, quiet: bool
) -> dict[str, Any]:
    from recommender.commands.confirm import confirm_here
    from recommender.reports.tables import confirmation_view

    with terminable():
        made = confirm_here(recommendation_id, tracking_uri, runs=runs)
    echo_remarks(made.remarks)
    if not quiet:
        show(confirmation_view(made))
    return made.to_dict()


if __name__ == "__main__":
    main()
