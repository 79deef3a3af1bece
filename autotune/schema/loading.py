"""A study from a YAML file, options, or both: here outside input becomes typed."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from autotune.errors import InvalidConfigError, did_you_mean
from autotune.files import read_yaml
from autotune.schema.configuration import Knob
from autotune.schema.study_spec import Incumbent, StudySpec, parse_incumbent
from autotune.schema.validation import ENGINES, parse_counts, refuse_setting
from autotune.schema.workload import CODE_PROMPT_LEN, MeasurePolicy, Slo, Workload

Knobs = dict[str, Knob | tuple[Knob, ...]]


def _check_keys(where: str, data: object, cls: type[Any]) -> None:
    """Refuse what is not a mapping of ``cls``'s fields, naming the key and the nearest known."""
    if not isinstance(data, Mapping):
        raise InvalidConfigError(f"{where}: expected a mapping of settings, not {data!r}")
    known = [f.name for f in dataclasses.fields(cls)]
    for key in data:
        if key not in known:
            raise InvalidConfigError(
                f"{where}: unknown key {key!r}.{did_you_mean(str(key), known)}"
            )


def _nested(cls: type[Any], where: str, data: object) -> Any:
    _check_keys(where, data, cls)
    assert isinstance(data, Mapping)
    missing = [f.name for f in dataclasses.fields(cls) if _is_required(f) and f.name not in data]
    if missing:
        raise InvalidConfigError(f"{where}: missing key {missing[0]!r}")
    return cls(**data)


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _workloads(data: object) -> tuple[Workload, ...]:
    items = data if isinstance(data, list | tuple) else [data]
    return tuple(_nested(Workload, "workload", _with_its_defaults(item)) for item in items)


def _with_its_defaults(data: object) -> object:
    """Fill in what one setting of a workload says of another."""
    if not isinstance(data, Mapping):
        return data
    implied: dict[str, object] = {}
    if "dataset_path" in data:
        implied["dataset_name"] = "file"
    if data.get("dataset_name") == "code_completion":
        implied["input_len"] = CODE_PROMPT_LEN
    return implied | dict(data)


def _policy(data: object) -> Any:
    return _nested(MeasurePolicy, "policy", data)


def _slo(data: object) -> Any:
    return _nested(Slo, "slo", data)


def _incumbent(data: object) -> Any:
    if isinstance(data, Incumbent | None):
        return data
    return parse_incumbent(data) if isinstance(data, str) else _nested(Incumbent, "kept", data)


def _flat_knobs(data: object) -> Knobs:
    """Accept ``{vllm: {enforce_eager: true}}`` as well as ``{vllm.enforce_eager: true}``.

    A list of values becomes a tuple: alternatives to try.
    """
    if not isinstance(data, Mapping):
        raise refuse_setting("knobs", data, "a mapping of engine arguments")
    flat: Knobs = {}
    for key, value in data.items():
        if isinstance(value, Mapping) and key in ENGINES:
            flat |= {f"{key}.{knob}": _alternatives(item) for knob, item in value.items()}
        else:
            flat[str(key)] = _alternatives(value)
    return flat


def _alternatives(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _texts(value: object) -> tuple[str, ...]:
    items = value.split(",") if isinstance(value, str) else value
    if not isinstance(items, list | tuple) or not all(isinstance(item, str) for item in items):
        raise refuse_setting("engines", value, f"a list of {', '.join(ENGINES)}")
    return tuple(item.strip() for item in items)


# Fields that are not listed are taken as they are.
_READERS: Mapping[str, Callable[[object], Any]] = {
    "engines": _texts,
    "n_gpus": parse_counts,
    "batch_sizes": parse_counts,
    "knobs": _flat_knobs,
    "workloads": _workloads,
    "policy": _policy,
    "slo": _slo,
    "kept": _incumbent,
}


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


def study_from_dict(data: Mapping[str, Any]) -> StudySpec:
    """Build a study from parsed YAML or JSON.

    Lists may be written as one value (``engines: vllm``) and batch sizes as text (``1:512``).

    Raises:
        InvalidConfigError: For an unknown key or an impossible value, naming it.
    """
    _check_keys("study", data, StudySpec)
    values = dict(data)
    for name, read in _READERS.items():
        if name in values:
            values[name] = read(values[name])
    if "model" not in values:
        raise InvalidConfigError("study: missing key 'model'")
    return StudySpec(**values)


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
    return study_from_dict(data)


def read_study(path: Path) -> dict[str, Any]:
    """Read a study file.

    Raises:
        InvalidConfigError: When it cannot be read or is not a YAML mapping.
    """
    data = read_yaml(path)
    if not isinstance(data, dict):
        raise InvalidConfigError(f"study {path} must be a YAML mapping of settings")
    return data
