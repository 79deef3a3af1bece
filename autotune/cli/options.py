"""Options that several commands share: how their values are read, and completed in a shell."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from autotune.errors import InvalidConfigError
from autotune.store.location import default_uri

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


def gpu_file_option(command: Command) -> Command:
    """GPUs that the catalogue lacks, known before any other option is read."""
    return click.option(
        "--gpu-file",
        type=click.Path(path_type=Path),
        envvar="AUTOTUNE_GPU_FILE",
        callback=_add_gpus,
        expose_value=False,
        is_eager=True,
        metavar="FILE",
        help="TOML file of GPUs that the catalogue lacks (`autotune gpus --help`).",
    )(command)


def _add_gpus(_: click.Context, __: click.Parameter, path: Path | None) -> None:
    if path is not None:
        from autotune.catalog.gpus import add_gpus

        add_gpus(path)


def model_option(*, required: bool = False) -> Callable[[Command], Command]:
    """Which model."""
    return click.option(
        "--model",
        required=required,
        shell_complete=complete_model,
        help="A name in the catalogue, the Hugging Face cache or the Hub, or a directory with "
        "config.json.",
    )


def like_option(command: Command) -> Command:
    """What an unknown name stands for."""
    return click.option(
        "--like",
        metavar="BASE",
        shell_complete=complete_model,
        help="A model whose architecture the name has, for a fine-tune known by its name alone.",
    )(command)


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


def complete_model(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the catalogue's models, also by the name without the organisation."""
    from autotune.catalog.models import load_models

    wanted = text.lower()
    return [
        CompletionItem(name)
        for name in load_models()
        if name.lower().startswith(wanted) or name.lower().rpartition("/")[2].startswith(wanted)
    ]


def complete_gpu(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the catalogue's GPUs, and those of the user's own file."""
    from autotune.catalog.gpus import load_gpus, own_gpus

    wanted = text.lower()
    names = (*load_gpus(), *(known.spec.name for known in own_gpus()))
    return [CompletionItem(name) for name in names if name.lower().startswith(wanted)]


def complete_reference(_: click.Context, __: click.Parameter, text: str) -> list[CompletionItem]:
    """Offer the recommendations and studies that lie beside the default store, the latest first."""
    from autotune.store.location import store_directory

    directory = store_directory(default_uri())
    kept = [
        *(p for p in directory.glob("recommendations/*.json") if "-" not in p.stem),
        *directory.glob("journals/*.jsonl"),
    ]
    latest = sorted(kept, key=lambda p: p.stat().st_mtime, reverse=True)
    return [CompletionItem(path.stem) for path in latest if path.stem.startswith(text)]
