"""Options that commands share, and the long ones of ``run`` and ``recommend``."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from autotune.cli.completion import complete_gpu, complete_model
from autotune.errors import InvalidConfigError
from autotune.store.cache import default_uri

Command = Callable[..., Any]


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
    from autotune.schema.study_spec import parse_counts

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

_RECOMMEND_OPTIONS = (
    click.option(
        "--model",
        required=True,
        shell_complete=complete_model,
        help="Catalogue name, or a directory with config.json.",
    ),
    click.option(
        "--target-gpu",
        required=True,
        shell_complete=complete_gpu,
        help="The GPU to move to (`autotune gpus`).",
    ),
    click.option(
        "--source-gpu",
        shell_complete=complete_gpu,
        help="The GPU served on until now: does moving pay?",
    ),
    click.option("--engine", default="vllm", show_default=True, help="vllm, hf or all."),
    click.option("--max-gpus", type=int, default=8, show_default=True, help="Most GPUs to spend."),
    click.option(
        "--max-batch-size", type=int, default=1024, show_default=True, help="Largest to consider."
    ),
    click.option("--input-len", type=int, default=512, show_default=True, help="Prompt tokens."),
    click.option(
        "--output-len", type=int, default=128, show_default=True, help="Generated tokens."
    ),
    click.option(
        "--dtype", default="auto", show_default=True, help="auto, float32, float16, bfloat16."
    ),
    click.option("--quantization", help="Weight quantization, for example fp8."),
    click.option(
        "--objective",
        default="throughput",
        show_default=True,
        help="throughput of one replica. per-gpu: replicas against tensor parallelism. cost: least "
        "$ a million tokens. energy: least J a token. goodput: throughput within the limits.",
    ),
    click.option("--max-ttft-ms", type=float, help="Limit for the mean time to first token."),
    click.option("--max-tpot-ms", type=float, help="Limit for the mean time per output token."),
    click.option(
        "--price",
        multiple=True,
        metavar="GPU=DOLLARS",
        help="What an hour of one GPU costs, as in H100=2.9; can be repeated.",
    ),
    click.option(
        "--price-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="The same as YAML or JSON; --price wins.",
    ),
    click.option(
        "--tolerance",
        type=float,
        default=0.02,
        show_default=True,
        help="Share of the best given up for fewer GPUs, then for the smaller batch.",
    ),
    click.option("--top", type=int, default=5, show_default=True, help="Candidates to list."),
    click.option(
        "--confirm",
        "confirm_runs",
        type=int,
        default=0,
        metavar="N",
        help="Confirm at once with N runs on this host.",
    ),
    click.option(
        "--log",
        is_flag=True,
        help="Log to MLflow before returning (else the next command that opens the store does).",
    ),
)


def search_options(command: Command) -> Command:
    """How to search, within which budgets and limits."""
    return _with(_SEARCH_OPTIONS, command)


def workload_options(command: Command) -> Command:
    """What requests to send, and how they come."""
    return _with(_WORKLOAD_OPTIONS, command)


def recommend_options(command: Command) -> Command:
    """What is asked of the recommender."""
    return _with(_RECOMMEND_OPTIONS, command)


def _with(options: Sequence[Callable[[Command], Command]], command: Command) -> Command:
    for option in reversed(options):
        command = option(command)
    return command


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

_TRAIN_OPTIONS = (
    click.option(
        "--promote",
        type=click.Choice(["auto", "always", "never"]),
        default="auto",
        show_default=True,
        help="auto: only if it beats the surrogate in force on runs that neither has seen.",
    ),
    click.option(
        "--rollback",
        is_flag=True,
        help="Train nothing; put the champion before the present one in force again.",
    ),
)


def confirm_options(command: Command) -> Command:
    """How many runs to spend, and what to measure with."""
    return _with(_CONFIRM_OPTIONS, command)


def train_options(command: Command) -> Command:
    """What becomes of the surrogate in force."""
    return _with(_TRAIN_OPTIONS, command)
