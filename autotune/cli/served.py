"""Options that read what a server serves now from its own metrics."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from autotune.cli.terminal import echo_remarks
from autotune.errors import InvalidConfigError

if TYPE_CHECKING:
    from autotune.schema.served_load import ServedLoad

FROM_METRICS_OPTIONS = (
    click.option(
        "--from-metrics",
        multiple=True,
        metavar="FILE|URL",
        help="Take the lengths from what vLLM serves now: two scrapes of its /metrics (the option "
        "twice, the earlier file first), or its address, which is scraped twice.",
    ),
    click.option(
        "--scrape-seconds",
        type=float,
        help="Time between the two scrapes.  [default: 30 at an address; of files, when they were "
        "written]",
    ),
)
# What the metrics say, so that nobody else may.
_REPLACED = ("input_len", "output_len")


def served_load(places: Sequence[str], apart_s: float | None) -> "ServedLoad | None":
    """Return what the options ask to read; ``None`` where they are not given.

    Raises:
        UsageError: When they cannot be meant, or what they name is no load.
    """
    if not places:
        if apart_s is not None:
            raise InvalidConfigError("--scrape-seconds needs --from-metrics")
        return None
    context = click.get_current_context()
    for name in _REPLACED:
        if context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise InvalidConfigError(
                f"--from-metrics says what --{name.replace('_', '-')} says: leave one of them out"
            )
    from autotune.importers.scrapes.take import read_load

    return read_load(places, apart_s, say=lambda text: echo_remarks([text]))
