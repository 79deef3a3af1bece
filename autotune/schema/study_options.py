"""A study from its YAML file, from a command's options, or from both."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError
from autotune.files import read_yaml
from autotune.schema.study_spec import StudySpec

# Options that belong to a part of the study: option -> (part, field).
_NESTED = {
    "time_budget": ("policy", "time_budget_s"),
    "max_ttft_ms": ("slo", "max_ttft_ms"),
    "max_tpot_ms": ("slo", "max_tpot_ms"),
}
_RENAMED = {
    "max_time": "max_time_s",
    "start_timeout": "start_timeout_s",
    "stall_timeout": "stall_timeout_s",
}
_WORKLOAD = (
    "mode",
    "input_len",
    "output_len",
    "dataset_name",
    "dataset_path",
    "length_distribution",
    "length_spread",
    "num_prompts",
    "request_rate",
    "burstiness",
)


def study_from_options(path: Path | None, options: Mapping[str, Any]) -> StudySpec:
    """Build a study from a YAML file, from options, or from both (options win).

    Args:
        path: Study file, or ``None``.
        options: ``StudySpec`` fields, ``Workload`` fields (one workload, in the place of the
            file's), ``time_budget``, ``max_time``, ``start_timeout``, ``stall_timeout``,
            ``max_ttft_ms`` and ``max_tpot_ms``; ``None``, ``False`` and empty mappings were not
            given.

    Raises:
        InvalidConfigError: Naming the key or the value that cannot be.
    """
    data = read_study(path) if path is not None else {}
    given = {
        _RENAMED.get(name, name): value
        for name, value in options.items()
        if value is not None and value is not False and value != {}
    }
    lengths = {name: given.pop(name) for name in _WORKLOAD if name in given}
    if lengths:
        data["workloads"] = [lengths]
    for name, (part, field) in _NESTED.items():
        if name in given:
            data[part] = {**data.get(part, {}), field: given.pop(name)}
    data |= given
    if "model" not in data:
        raise InvalidConfigError("no model: give --model NAME or a study file that names one")
    return StudySpec.from_dict(data)


def read_study(path: Path) -> dict[str, Any]:
    """Read a study file.

    Raises:
        InvalidConfigError: When it cannot be read or is not a YAML mapping.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise InvalidConfigError(f"study {path} must be a YAML mapping of settings")
    return data
