"""Options that several commands share, and how their values are read."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import click

from autotune.errors import InvalidConfigError
from autotune.store.cache import default_uri

Command = Callable[..., Any]


def with_options(options: Sequence[Callable[[Command], Command]]) -> Callable[[Command], Command]:
    """Return the decorator that adds options, in the order they are listed."""

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add


def tracking_uri_option(command: Command) -> Command:
    """Which store; the variable MLflow itself reads counts too."""
    return click.option(
        "--tracking-uri",
        envvar="MLFLOW_TRACKING_URI",
        default=default_uri,
        show_default="sqlite:///mlruns/mlflow.db",
        help="MLflow tracking URI of the store.",
    )(command)


def json_option(command: Command) -> Command:
    """Print the result as JSON."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def set_option(command: Command) -> Command:
    """Engine arguments by their own names."""
    return click.option(
        "--set",
        "knobs",
        multiple=True,
        callback=_settings,
        metavar="NAME=VALUE",
        help="A further engine argument by its own name; vllm.NAME is for one engine only, and a "
        "list ([2048,8192]) holds alternatives for `run` to try.",
    )(command)


def fleet_option(command: Command) -> Command:
    """Whose GPUs measure."""
    return click.option(
        "--fleet",
        metavar="ADDRESS|local",
        help="Measure on the hosts of a Ray cluster (ADDRESS, or auto; local is one of this host "
        "alone), in the place of this one.",
    )(command)


def read_counts(_: click.Context, parameter: click.Parameter, value: str | None) -> Any:
    """Read ``1:512`` or ``1,3,7``."""
    from autotune.schema.validation import parse_counts

    try:
        return None if value is None else parse_counts(value)
    except InvalidConfigError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def _settings(
    _: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> dict[str, Any]:
    try:
        return read_settings(values)
    except InvalidConfigError as error:
        raise click.BadParameter(str(error), param=parameter) from None


def read_settings(values: Sequence[str]) -> dict[str, Any]:
    """Read ``name=value`` each; the value is JSON where it parses as such, else text.

    Raises:
        InvalidConfigError: For what does not look like that.
    """
    settings: dict[str, Any] = {}
    for item in values:
        name, separator, text = item.partition("=")
        if not separator or not name:
            raise InvalidConfigError(f"{item!r} must look like name=value")
        try:
            settings[name] = json.loads(text)
        except (ValueError, RecursionError):
            settings[name] = text
    return settings
