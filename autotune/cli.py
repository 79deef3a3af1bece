"""The command line: each command parses, calls one function, and echoes the result.

Results go to standard output, progress and remarks to standard error. Exit codes: 0 done, 1 failed,
2 usage, 130 interrupted.
"""

import dataclasses
import json
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from autotune import __version__
from autotune.cache import default_uri, store_directory
from autotune.errors import AutotuneError, InvalidConfigError

_Command = Callable[..., Any]


class AutotuneGroup(click.Group):
    """A group that turns autotune's errors into a sentence and an exit code, and suggests names."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AutotuneError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except KeyboardInterrupt:
            click.echo("Interrupted; everything measured so far is kept.", err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look a command up, naming the nearest when there is none of that name."""
        from autotune.errors import did_you_mean

        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}.{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _tracking_uri(command: _Command) -> _Command:
    return click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        default=default_uri,
        show_default="sqlite:///mlruns/mlflow.db",
        help="MLflow tracking URI of the store.",
    )(command)


def _as_json(command: _Command) -> _Command:
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def _echo_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def _counts(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    from autotune.spec import parse_counts

    try:
        return None if value is None else parse_counts(value)
    except InvalidConfigError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def _settings(_: click.Context, parameter: click.Parameter, values: Sequence[str]) -> dict[str, Any]:
    """Read ``--set name=value``; the value is JSON where it parses as such, else text."""
    settings: dict[str, Any] = {}
    for item in values:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise click.BadParameter(f"{item!r} must look like name=value", param=parameter)
        try:
            settings[name] = json.loads(text)
        except ValueError:
            settings[name] = text
    return settings


@click.group(
    cls=AutotuneGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="autotune")
def main() -> None:
    """Find the batch size and GPU count to serve an LLM with, and prove it.

    \b
    Start here:
      autotune demo
      autotune recommend --model meta-llama/Llama-3.1-8B --target-gpu H100
    """


@main.command()
@click.argument("study", required=False, type=click.Path(path_type=Path))
@click.option("--model", help="Catalogue name, or a directory with a config.json.")
@click.option("--engine", "engines", help="Engines, comma separated: vllm, hf.  [default: vllm]")
@click.option("--gpu", help="The GPU this host must have.  [default: what is here]")
@click.option("--n-gpus", callback=_counts, help="GPUs of one replica: 1,2 or 1:8.  [default: 1]")
@click.option("--batch-sizes", callback=_counts, help="1:512 doubles, 1,3,7 lists.")
@click.option("--input-len", type=int, help="Prompt tokens a request.  [default: 512]")
@click.option("--output-len", type=int, help="Generated tokens a request.  [default: 128]")
@click.option("--dtype", help="auto, float32, float16 or bfloat16.")
@click.option("--quantization", help="The engine's quantization method.")
@click.option("--set", "knobs", multiple=True, callback=_settings, metavar="NAME=VALUE",
              help="A further engine argument by its own name; vllm.NAME for one engine only.")
@click.option("--time-budget", type=float, help="Seconds of repeats a configuration.  [default: 60]")
@click.option("--trust-remote-code", is_flag=True, help="Let the model run its own code.")
@click.option("--journal", type=click.Path(path_type=Path, dir_okay=False),
              help="Write here, and to MLflow only if --tracking-uri is given.")
@click.option("--resume", is_flag=True, help="Go on with the journal; repeat nothing.")
@click.option("--tracking-uri", help="MLflow tracking URI.  [default: sqlite:///mlruns/mlflow.db]")
@_as_json
def run(study: Path | None, journal: Path | None, resume: bool, tracking_uri: str | None,
        as_json: bool, **options: Any) -> None:
    """Measure a study's configurations, journal them and log them to MLflow.

    \b
    Example:
      autotune run --model demo-model --engine vllm,hf --batch-sizes 1:16 --input-len 64 --output-len 32
    """
    from autotune.running import run_study, study_from_options

    with _terminable():
        result = run_study(
            study_from_options(study, options),
            journal=journal,
            resume=resume,
            tracking_uri=tracking_uri,
        )
    if as_json:
        _echo_json([record.to_dict() for record in result.records])
    else:
        click.echo(result.summary)
    if not any(record.status == "completed" for record in result.records):
        raise click.exceptions.Exit(1)


def _terminable() -> "_Terminable":
    return _Terminable()


class _Terminable:
    """Turns SIGTERM into a KeyboardInterrupt while a study runs, so that it ends as cleanly."""

    def __enter__(self) -> None:
        self._previous = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    @staticmethod
    def _interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt


if __name__ == "__main__":
    main()
