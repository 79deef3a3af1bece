"""Names in other people's files brought to the catalogue's, with the user's options."""

from collections.abc import Mapping
from typing import Any

from autotune.catalog.gpus import find_gpu
from autotune.catalog.models import find_model
from autotune.errors import InvalidRecordError, UnknownModelError
from autotune.importers.base import ImportOptions, flag
from autotune.importers.rows import at, text
from autotune.schema.configuration import WORKLOAD_PREFIX, Knob


def model_name(values: Mapping[str, Any], *keys: str, options: ImportOptions) -> str:
    """Return the catalogue's name of a file's model; ``--model`` stands for a path or an alias.

    Raises:
        InvalidRecordError: When neither names a known model.
    """
    if options.model is not None:
        return find_model(options.model).name
    name = at(values, *keys)
    if not isinstance(name, str) or not name.strip():
        raise InvalidRecordError(f"the file does not say the model: give {flag('model')}")
    try:
        return find_model(text(values, *keys)).name
    except UnknownModelError as error:
        raise InvalidRecordError(f"{error} {flag('model')} says which one it is.") from error


def arrival_knobs(request_rate: float | None, burstiness: float | None = None) -> dict[str, Knob]:
    """Return what a record's knobs say of requests that come at a rate (requests/s)."""
    if request_rate is None:
        return {}
    knobs: dict[str, Knob] = {WORKLOAD_PREFIX + "request_rate": request_rate}
    if burstiness not in (None, 1.0):
        knobs[WORKLOAD_PREFIX + "burstiness"] = burstiness
    return knobs


def gpu_name(stated: str | None, options: ImportOptions) -> str:
    """Return the catalogue's name of the GPU that the file states, or else the option's.

    Raises:
        InvalidRecordError: When neither is there, or they differ.
        UnknownGpuError: When the catalogue lacks it.
    """
    name = options.need("gpu", None if stated is None else find_gpu(stated).name)
    return find_gpu(name).name
