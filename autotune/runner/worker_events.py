"""What a worker tells its session: JSON lines, taken for what they are only after a look.

Native code in an engine can write to any descriptor, so nothing is believed because it came through
the right pipe.
"""

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from autotune.errors import InvalidRecordError
from autotune.schema.record import check_measures
from autotune.schema.vocabulary import METRIC_FIELDS, STATUSES

CIRCUMSTANCES = "circumstances"
_INFO = ("engine_version", "dtype", "weights", "vocab_size", "kv_cache_tokens", "settings")
_SHOWN = 200


class GarbledEventError(ValueError):
    """A line that no worker wrote."""


def parse_event(line: bytes) -> dict[str, Any]:
    """Return the event on a line.

    Raises:
        GarbledEventError: Quoting the line, when it is none.
    """
    try:
        event = json.loads(line.decode(), parse_constant=_refuse)
        _CHECKS[event["event"]](event)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise GarbledEventError(f"no event of a worker: {line[:_SHOWN]!r}") from error
    checked: dict[str, Any] = event
    return checked


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _check_started(event: Mapping[str, Any]) -> None:
    if set(event["info"]) != set(_INFO) or not isinstance(event["info"]["settings"], dict):
        raise ValueError("not an engine's account of itself")
    check_measures({"engine_start_s": event["engine_start_s"]})


def _check_pass(event: Mapping[str, Any]) -> None:
    if not isinstance(event["warmup"], bool):
        raise TypeError("a pass is a warm-up or not")
    check_measures({"output_throughput": event["output_throughput"]})


def _check_measured(event: Mapping[str, Any]) -> None:
    metrics = dict(event["metrics"])
    if not isinstance(metrics.pop(CIRCUMSTANCES, {}), dict):
        raise TypeError("circumstances are a mapping")
    if not metrics or set(metrics) - set(METRIC_FIELDS):
        raise InvalidRecordError("no such measures")
    check_measures(metrics)


def _check_failed(event: Mapping[str, Any]) -> None:
    if event["status"] not in STATUSES or not isinstance(event["message"], str):
        raise ValueError("not a failure")


_CHECKS = {
    "started": _check_started,
    "pass": _check_pass,
    "measured": _check_measured,
    "failed": _check_failed,
}
