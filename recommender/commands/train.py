"""``autotune train``: refine on the store's runs, let the result meet the champion, or go back."""

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.catalog.gpus import remember_recorded_gpus
from autotune.catalog.recorded_models import remember_recorded
from autotune.errors import SurrogateError
from autotune.schema.record import RunRecord
from autotune.store.tracking.notes import runs_source
from autotune.store.tracking.store import Store
from autotune.views.charts import png
from recommender.reports.charts import residual_figures
from recommender.reports.tracking import log_pending
from recommender.surrogate.in_force import (
    changing,
    put_in_force,
    return_to_shipped,
    surrogate_directory,
    version_in_force,
)
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.promotion import Duel, fight
from recommender.training.refine import refine
from recommender.training.registry import MODEL_NAME, Entry, Registry, registry_of

LEARNED_FILE = "learned_from.txt"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What a training did.

    Attributes:
        version: Registry version of the challenger.
        champion_version: Registry version in force now.
        remarks: What the user should know of the runs, a sentence each.
    """

    version: str
    champion_version: str
    is_promoted: bool
    duel: Duel
    summary: Mapping[str, Any]
    remarks: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """A few lines for a terminal."""
        verdict = "is champion now" if self.is_promoted else "stays a challenger"
        return "\n".join(
            [
                f"trained on {self.summary['rows_used']} runs",
                self.duel.text,
                f"{MODEL_NAME} version {self.version} {verdict}; "
                f"champion: version {self.champion_version}",
                *self.remarks,
            ]
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "version": self.version,
            "champion_version": self.champion_version,
            "promoted": self.is_promoted,
            "duel": self.duel.to_dict(),
            "training": dict(self.summary),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollback:
    """Which version was taken out of force, and which one is in force again."""

    rolled_back: str
    champion_version: str
    is_shipped: bool

    @property
    def text(self) -> str:
        """A line for a terminal."""
        shipped = ", the shipped surrogate," if self.is_shipped else ""
        return (
            f"{MODEL_NAME} version {self.champion_version}{shipped} is champion again; "
            f"version {self.rolled_back} is not any more"
        )

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {"rolled_back": self.rolled_back, "champion_version": self.champion_version}


def train_and_register(tracking_uri: str, *, promote: str = "auto") -> TrainingReport:
    """Train a challenger on the store's runs, let it meet the champion, register it.

    Args:
        promote: ``auto`` makes it champion only if it wins the backtest.

    Raises:
        SurrogateError: When there is too little to learn from.
        StoreError: When the store or its registry fails.
    """
    store = Store(tracking_uri)
    log_pending(store)
    records = store.read()
    remember_recorded(records)
    remarks = remember_recorded_gpus(records)
    fitted = refine(records, PRETRAINED)
    with changing(store.directory), registry_of(store) as registry:
        follow_alias(registry, store.directory)
        in_force = surrogate_directory(store.directory)
        duel = fight(
            records,
            champion=Predictor.load(in_force),
            prior=PRETRAINED,
            learned=_learned(in_force),
        )
        if registry.champion() is None:
            registry.promote(registry.register_shipped(PRETRAINED))
        is_promoted = promote == "always" or (promote == "auto" and duel.is_won)
        with tempfile.TemporaryDirectory(prefix="autotune-surrogate-") as name:
            folder = Path(name)
            fitted.save(folder)
            _write_beside(folder, records, duel)
            entry = _entry(records, duel, fitted.training_summary)
            drawn = _draw(records, store.directory / "reports" / "training")
            version = registry.register(folder, [*sorted(folder.iterdir()), *drawn], entry)
            if is_promoted:
                registry.promote(version)
                put_in_force(store.directory, version, folder)
        champion = registry.champion() or version
    return TrainingReport(
        version=version,
        champion_version=champion,
        is_promoted=is_promoted,
        duel=duel,
        summary=fitted.training_summary,
        remarks=remarks,
    )


def roll_back(tracking_uri: str) -> Rollback:
    """Put the champion before the present one in force again.

    Raises:
        SurrogateError: When there is none before it.
        StoreError: When the store or its registry fails.
    """
    store = Store(tracking_uri)
    with changing(store.directory), registry_of(store) as registry:
        follow_alias(registry, store.directory)
        version = registry.champion()
        if version is None:
            raise SurrogateError(
                "nothing to roll back to: this store has no champion, the shipped surrogate "
                "answers; `autotune train` makes one"
            )
        predecessor = registry.predecessor(version)
        if predecessor is None:
            raise SurrogateError(
                f"nothing to roll back to: version {version} of {MODEL_NAME} replaced no other"
                + (" (it is the shipped surrogate)" if registry.is_shipped(version) else "")
            )
        registry.roll_back(version, predecessor)
        follow_alias(registry, store.directory)
        return Rollback(
            rolled_back=version,
            champion_version=predecessor,
            is_shipped=registry.is_shipped(predecessor),
        )


def follow_alias(registry: Registry, directory: Path) -> None:
    """Let cold answers use what the registry's alias names, whatever was interrupted before."""
    version = registry.champion()
    if version is None or registry.is_shipped(version):
        return_to_shipped(directory)
    elif version_in_force(directory) != version:
        with registry.files_of(version) as folder:
            put_in_force(directory, version, folder)


def _write_beside(folder: Path, records: Sequence[RunRecord], duel: Duel) -> None:
    ids = "".join(f"{record.record_id}\n" for record in records)
    (folder / LEARNED_FILE).write_text(ids, encoding="utf-8")
    (folder / "duel.md").write_text(duel.markdown, encoding="utf-8")
    text = json.dumps(duel.to_dict(), indent=1, allow_nan=False)
    (folder / "duel.json").write_text(text, encoding="utf-8")


def _entry(records: Sequence[RunRecord], duel: Duel, summary: Mapping[str, Any]) -> Entry:
    return Entry(
        name=f"surrogate · trained on {summary['rows_used']} runs",
        description=duel.markdown.replace("# ", "### ", 1),
        params={name: str(value) for name, value in summary.items() if _is_plain(value)},
        metrics=duel.metrics,
        sources=[runs_source("runs of this store", records, "training")],
    )


def _draw(records: Sequence[RunRecord], folder: Path) -> list[Path]:
    """Draw where the shipped surrogate errs on these runs: what there is to learn."""
    return [
        png.draw(figure.chart, folder / f"{figure.name}.png")
        for figure in residual_figures(records)
    ]


def _is_plain(value: object) -> bool:
    """Whether a value of a training's summary says something as one param."""
    return isinstance(value, str | int | float)


def _learned(folder: Path) -> frozenset[str] | None:
    """Return the ids of the records that a surrogate was refined from."""
    path = folder / LEARNED_FILE
    return frozenset(path.read_text(encoding="utf-8").split()) if path.is_file() else None
