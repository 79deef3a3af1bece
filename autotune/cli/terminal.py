"""The command line's manners: errors as sentences, tables, JSON, hints, clean endings."""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import click

from autotune.errors import AutotuneError, did_you_mean

_HINT = (
    "First time here? `autotune doctor` checks this machine, `autotune demo` does the whole job in "
    "two minutes, and runs of your own (`autotune run`, `autotune import`) make answers surer."
)
_PIPE_WIDTH = 160
# What a GPU node may lack: it measures without.
_STORE, _LEARNING = ("mlflow", "sqlalchemy"), ("xgboost", "sklearn", "scipy")


class AutotuneGroup(click.Group):
    """A group that turns autotune's errors into a sentence and an exit code, and suggests names."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except AutotuneError as error:
            click.echo(f"Error: {error}", err=True)
            ctx.exit(error.exit_code)
        except ModuleNotFoundError as error:
            if (hint := _without(error.name)) is None:
                raise
            click.echo(f"Error: {error.name} is not installed here; {hint}", err=True)
            ctx.exit(1)
        except KeyboardInterrupt:
            click.echo("Interrupted; everything measured so far is kept.", err=True)
            ctx.exit(130)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Look a command up, naming the nearest when there is none of that name."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}.{did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)


def _without(package: str | None) -> str | None:
    """Say what to do without a package that a node which only measures may lack."""
    if package in _STORE:
        return (
            "a study needs none with `autotune run --journal FILE`, and `autotune import FILE` "
            "logs it on a host that has it"
        )
    if package in _LEARNING:
        return "train and evaluate on a host that has it, with the journals measured here"
    return None


def echo_json(value: Any) -> None:
    """Print a result as JSON."""
    click.echo(json.dumps(value, indent=2, allow_nan=False, ensure_ascii=False))


def echo_remarks(remarks: Iterable[str]) -> None:
    """Print what else the user should know, a sentence a line, on standard error."""
    for remark in remarks:
        click.echo(remark, err=True)


def show(view: Any) -> None:
    """Print a rich view; wide enough for whole rows when the output is not a terminal."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console.width = max(console.width, _PIPE_WIDTH)
    # Not cropped: a command that is longer than a line is the terminal's to wrap.
    console.print(view, highlight=False, crop=False)


def hint(*, is_first: bool) -> None:
    """Say how to begin to somebody who is new here; nothing to a pipe."""
    if is_first and sys.stdout.isatty():
        click.echo(f"\n{_HINT}", err=True)


@contextmanager
def terminable() -> Iterator[None]:
    """Turn SIGTERM into a KeyboardInterrupt meanwhile, so that a study ends as cleanly."""

    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
