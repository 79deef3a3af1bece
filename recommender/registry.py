"""Training on the store's runs, the duel with the champion, and MLflow's model registry.

The registered model is ``autotune-surrogate``; its alias ``champion`` names the version in force.
A copy of the champion beside the store serves cold answers, which never open MLflow.
"""

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from autotune.errors import StoreError
from autotune.local_models import remember_recorded
from autotune.records import Configuration
from autotune.run_layout import KIND
from autotune.tracking import EXPERIMENT, Store, redact
from recommender import ledger, surrogate
from recommender.context import CHAMPION
from recommender.duel import Duel, fight
from recommender.features import FEATURE_NAMES, encode
from recommender.meta import META_FILE, TREES_FILE
from recommender.predictor import PRETRAINED, Predictor
from recommender.refine import refine

MODEL_NAME = "autotune-surrogate"
_EXAMPLE = Configuration(
    engine="vllm",
    model="meta-llama/Llama-3.1-8B",
    gpu="H100-80GB",
    n_gpus=1,
    batch_size=64,
    input_len=512,
    output_len=128,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingReport:
    """What a training did.

    Attributes:
        version: Registry version of the challenger.
        champion_version: Registry version in force now.
    """

    version: str
    champion_version: str
    is_promoted: bool
    duel: Duel
    summary: Mapping[str, Any]

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


def train_and_register(tracking_uri: str, *, promote: str = "auto") -> TrainingReport:
    """Train a challenger on the store's runs, let it meet the champion, register it.

    Args:
        promote: ``auto`` makes it champion only if it wins the backtest.

    Raises:
        SurrogateError: When there is too little to learn from.
        StoreError: When the store or its registry fails.
    """
    store = Store(tracking_uri)
    ledger.log_pending(store)
    records = store.read()
    remember_recorded(records)
    champion_dir = store.directory / CHAMPION
    in_force = champion_dir if champion_dir.is_dir() else PRETRAINED
    fitted = refine(records, PRETRAINED)
    duel = fight(records, champion=Predictor.load(in_force), prior=PRETRAINED)
    is_promoted = promote == "always" or (promote == "auto" and duel.is_won)
    try:
        registry = _Registry(store)
        if registry.champion() is None:
            registry.promote(registry.register(PRETRAINED, "shipped surrogate", {}))
        with tempfile.TemporaryDirectory(prefix="autotune-surrogate-") as folder:
            fitted.save(Path(folder))
            version = registry.register(Path(folder), duel.text, duel.metrics)
            if is_promoted:
                registry.promote(version)
                _replace_folder(Path(folder), champion_dir)
        champion = registry.champion() or version
    except MlflowException as error:
        raise StoreError(f"the registry of {redact(tracking_uri)} failed: {error}") from error
    return TrainingReport(
        version=version,
        champion_version=champion,
        is_promoted=is_promoted,
        duel=duel,
        summary=fitted.training_summary,
    )


class _Registry:
    """MLflow's registry of one store."""

    def __init__(self, store: Store) -> None:
        self._store = store
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_experiment(EXPERIMENT)

    def champion(self) -> str | None:
        """Return the version in force."""
        try:
            return str(self._store.client.get_model_version_by_alias(MODEL_NAME, CHAMPION).version)
        except MlflowException:
            return None

    def promote(self, version: str) -> None:
        """Put a version in force."""
        self._store.client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)

    def register(self, folder: Path, description: str, metrics: Mapping[str, float]) -> str:
        """Log a surrogate's files as an MLflow XGBoost model; return its version."""
        import mlflow.xgboost

        booster = surrogate.load_booster(folder)
        example = np.nan_to_num(encode([_EXAMPLE]))
        with mlflow.start_run(run_name="surrogate training", tags={KIND: "training"}) as run:
            mlflow.log_metrics(dict(metrics))
            mlflow.set_tag("mlflow.note.content", description)
            info = mlflow.xgboost.log_model(
                booster,
                name="surrogate",
                registered_model_name=MODEL_NAME,
                model_format="json",
                signature=infer_signature(example, np.zeros(1)),
                pip_requirements=["xgboost>=2.1", "numpy"],
                metadata={"features": ",".join(FEATURE_NAMES)},
            )
            for name in (TREES_FILE, META_FILE):
                mlflow.log_artifact(str(folder / name))
        version = str(info.registered_model_version)
        self._store.client.update_model_version(MODEL_NAME, version, description)
        self._store.client.set_model_version_tag(MODEL_NAME, version, "run_id", run.info.run_id)
        return version


def _replace_folder(new: Path, old: Path) -> None:
    """Put a copy of ``new`` in the place of ``old``; a reader finds one of the two whole."""
    staged = old.with_name(old.name + ".new")
    retired = old.with_name(old.name + ".old")
    for leftover in (staged, retired):
        shutil.rmtree(leftover, ignore_errors=True)
    shutil.copytree(new, staged)
    if old.exists():
        old.rename(retired)
    staged.rename(old)
    shutil.rmtree(retired, ignore_errors=True)
