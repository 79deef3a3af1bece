"""meta.json: everything a surrogate is besides its trees, and the checksum of these."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from autotune.errors import SurrogateError
from recommender.features.efficiency import Constants
from recommender.surrogate.feasibility import Feasibility
from recommender.surrogate.gaussian_process import Hyper

FORMAT: Final = 3
TREES_FILE: Final = "surrogate.json"
META_FILE: Final = "meta.json"
_CHECKSUM: Final = "meta_sha256"
# What values of other types, or fewer, than were written may raise.
_DAMAGE: Final = (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What the training runs spanned, to say how near a question is to them.

    Attributes:
        gpus: Engine and mode ("vllm/serving") -> catalogue names of the GPUs.
        models: Engine and mode -> catalogue names of the models.
    """

    gpus: Mapping[str, tuple[str, ...]]
    models: Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class SurrogateMeta:
    """A surrogate's constants.

    Attributes:
        constants: Of the roofline, by class.
        shrinkage: By class, how much of the trees' residual is believed.
        hyper: Of the calibration, by engine family (hf, vllm, other).
        quantiles: Conformal factor by engine family and state of knowledge.
        latency: Class -> factors of the roofline's (ttft, tpot).
        source_effects: Source and class -> log level of that harness.
    """

    feature_names: tuple[str, ...]
    constants: Constants
    shrinkage: Mapping[str, float]
    hyper: Mapping[str, Hyper]
    quantiles: Mapping[str, Mapping[str, float]]
    latency: Mapping[str, tuple[float, float]]
    source_effects: Mapping[str, float]
    feasibility: Feasibility
    evidence: Evidence
    summary: Mapping[str, Any]

    def dumps(self, trees: bytes) -> str:
        """Return the text of meta.json beside these trees, with a checksum of its own."""
        values: dict[str, Any] = {
            "format": FORMAT,
            "trees_sha256": hashlib.sha256(trees).hexdigest(),
            "feature_names": self.feature_names,
            "constants": self.constants,
            "shrinkage": self.shrinkage,
            "hyper": {name: hyper.to_dict() for name, hyper in self.hyper.items()},
            "quantiles": self.quantiles,
            "latency": self.latency,
            "source_effects": self.source_effects,
            "feasibility": {
                "coefficients": self.feasibility.coefficients,
                "logit_copies": self.feasibility.logit_copies,
            },
            "evidence": {"gpus": self.evidence.gpus, "models": self.evidence.models},
            "summary": self.summary,
        }
        return _dump({**values, _CHECKSUM: _checksum(values)})


def _dump(values: Mapping[str, Any]) -> str:
    return json.dumps(values, indent=1, sort_keys=True) + "\n"


def _checksum(values: Mapping[str, Any]) -> str:
    """Return the SHA-256 over everything but itself, as it is written."""
    rest = {name: value for name, value in values.items() if name != _CHECKSUM}
    return hashlib.sha256(_dump(rest).encode()).hexdigest()


def read_surrogate(directory: Path) -> tuple[bytes, SurrogateMeta]:
    """Return a saved surrogate's trees and constants.

    Raises:
        SurrogateError: When a file is missing or damaged, naming it.
    """
    trees, text = (_read(directory / name) for name in (TREES_FILE, META_FILE))
    path = directory / META_FILE
    try:
        values = json.loads(text)
        found = values["format"]
        expected = values["trees_sha256"]
        # Surrogates of earlier versions have none.
        own = values.get(_CHECKSUM, _checksum(values))
    except _DAMAGE as err:
        raise SurrogateError(f"{path} is damaged ({err!r}): train again or reinstall") from err
    if found != FORMAT:
        raise SurrogateError(f"{path} has format {found}, this version reads {FORMAT}: train again")
    if own != _checksum(values):
        raise SurrogateError(
            f"{path} does not match its own checksum: it was changed; train again or reinstall"
        )
    if hashlib.sha256(trees).hexdigest() != expected:
        raise SurrogateError(
            f"{directory / TREES_FILE} does not match the checksum in {META_FILE}: "
            "one of them was changed or cut short; train again or reinstall"
        )
    try:
        return trees, _meta(values)
    except _DAMAGE as err:
        raise SurrogateError(f"{path} is damaged ({err!r}): train again or reinstall") from err


def format_of(directory: Path) -> int | None:
    """Return the format that a saved surrogate states; ``None`` where it states none."""
    try:
        values = json.loads((directory / META_FILE).read_bytes())
        return values["format"] if isinstance(values["format"], int) else None
    except (OSError, *_DAMAGE):
        return None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise SurrogateError(
            f"no surrogate: {path} cannot be read ({err.strerror}); `autotune train` writes one"
        ) from err


def _meta(values: Mapping[str, Any]) -> SurrogateMeta:
    feasibility, evidence = values["feasibility"], values["evidence"]
    return SurrogateMeta(
        feature_names=tuple(values["feature_names"]),
        constants=values["constants"],
        shrinkage=values["shrinkage"],
        hyper={name: Hyper.from_dict(hyper) for name, hyper in values["hyper"].items()},
        quantiles=values["quantiles"],
        latency={name: (pair[0], pair[1]) for name, pair in values["latency"].items()},
        source_effects=values["source_effects"],
        feasibility=Feasibility(
            coefficients={name: tuple(row) for name, row in feasibility["coefficients"].items()},
            logit_copies=feasibility["logit_copies"],
        ),
        evidence=Evidence(
            gpus={name: tuple(found) for name, found in evidence["gpus"].items()},
            models={name: tuple(found) for name, found in evidence["models"].items()},
        ),
        summary=values["summary"],
    )
