"""How the values of a parsed study file become the fields of a StudySpec."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from autotune.errors import InvalidConfigError, did_you_mean
from autotune.schema.configuration import Knob
from autotune.schema.kept import Kept, parse_kept
from autotune.schema.validation import parse_counts, refuse_setting
from autotune.schema.vocabulary import ENGINES
from autotune.schema.workload import CODE_PROMPT_LEN, MeasurePolicy, Slo, Workload

Knobs = dict[str, Knob | tuple[Knob, ...]]


def check_study_keys(where: str, data: object, cls: type[Any]) -> None:
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
    check_study_keys(where, data, cls)
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


def _kept(data: object) -> Any:
    if isinstance(data, Kept | None):
        return data
    return parse_kept(data) if isinstance(data, str) else _nested(Kept, "kept", data)


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
READERS: Mapping[str, Callable[[object], Any]] = {
    "engines": _texts,
    "n_gpus": parse_counts,
    "batch_sizes": parse_counts,
    "knobs": _flat_knobs,
    "workloads": _workloads,
    "policy": _policy,
    "slo": _slo,
    "kept": _kept,
}
