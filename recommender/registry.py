"""MLflow's model registry: every surrogate that was trained, and which one is in force.

The registered model is ``autotune-surrogate``; its alias ``champion`` names the version in force.
Tags of a version say when it was promoted, which one it replaced and when it was rolled back.
"""

import datetime
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from autotune.errors import StoreError
from autotune.records import Configuration
from autotune.run_layout import KIND
from autotune.tracking import EXPERIMENT, Store, redact
from recommender import surrogate
from recommender.context import CHAMPION
from recommender.features import FEATURE_NAMES, encode
from recommender.meta import META_FILE, TREES_FILE

MODEL_NAME = "autotune-surrogate"
SHIPPED, REPLACED = "autotune.shipped", "autotune.replaced"
PROMOTED_AT, ROLLED_BACK_AT = "autotune.promoted_at", "autotune.rolled_back_at"
_RUN_ID = "run_id"
_MISSING = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
_EXAMPLE = Configuration(
    engine="vllm",
    model="meta-llama/Llama-3.1-8B",
    gpu="H100-80GB",
    n_gpus=1,
    batch_size=64,
    input_len=512,
    output_len=128,
)


@contextmanager
def registry_of(store: Store) -> Iterator["Registry"]:
    """Open the registry of a store.

    Raises:
        StoreError: When MLflow refuses anything meanwhile.
    """
    try:
        yield Registry(store)
    except MlflowException as error:
        raise StoreError(f"the registry of {redact(store.uri)} failed: {error}") from error


class Registry:
    """MLflow's registry of one store."""

    def __init__(self, store: Store) -> None:
        self._client = store.client
        mlflow.set_tracking_uri(store.uri)
        mlflow.set_experiment(EXPERIMENT)

    def champion(self) -> str | None:
        """Return the version in force."""
        try:
            return str(self._client.get_model_version_by_alias(MODEL_NAME, CHAMPION).version)
        except MlflowException as error:
            if error.error_code in _MISSING:
                return None
            raise

    def promote(self, version: str) -> None:
        """Put a version in force and remember which one it replaced."""
        replaced = self.champion()
        if replaced is not None:
            self._tag(version, REPLACED, replaced)
        self._tag(version, PROMOTED_AT, _now())
        self._client.set_registered_model_alias(MODEL_NAME, CHAMPION, version)

    def predecessor(self, version: str) -> str | None:
        """Return the version that one replaced when it was promoted."""
        tags = self._client.get_model_version(MODEL_NAME, version).tags
        return str(tags[REPLACED]) if REPLACED in tags else None

    def roll_back(self, version: str, predecessor: str) -> None:
        """Put the predecessor of a version in force again.

        Raises:
            MlflowException: When the registry does not hold the predecessor any more.
        """
        self._client.get_model_version(MODEL_NAME, predecessor)
        self._tag(version, ROLLED_BACK_AT, _now())
        self._client.set_registered_model_alias(MODEL_NAME, CHAMPION, predecessor)

    def is_shipped(self, version: str) -> bool:
        """Whether a version is a copy of the shipped surrogate."""
        return SHIPPED in self._client.get_model_version(MODEL_NAME, version).tags

    @contextmanager
    def files_of(self, version: str) -> Iterator[Path]:
        """Provide a folder with the files of a version."""
        run_id = self._client.get_model_version(MODEL_NAME, version).tags[_RUN_ID]
        with tempfile.TemporaryDirectory(prefix="autotune-surrogate-") as folder:
            for item in self._client.list_artifacts(run_id):
                if not item.is_dir:
                    self._client.download_artifacts(run_id, item.path, folder)
            yield Path(folder)

    def register_shipped(self, folder: Path) -> str:
        """Register the shipped surrogate; return its version."""
        files = [folder / TREES_FILE, folder / META_FILE]
        version = self.register(folder, files, "shipped surrogate", {})
        self._tag(version, SHIPPED, "true")
        return version

    def register(
        self, folder: Path, files: Sequence[Path], description: str, metrics: Mapping[str, float]
    ) -> str:
        """Log a surrogate as an MLflow XGBoost model; return its version.

        Args:
            files: What is logged beside the model.
        """
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
            for path in files:
                mlflow.log_artifact(str(path))
        version = str(info.registered_model_version)
        self._client.update_model_version(MODEL_NAME, version, description)
        self._tag(version, _RUN_ID, run.info.run_id)
        return version

    def _tag(self, version: str, key: str, value: str) -> None:
        self._client.set_model_version_tag(MODEL_NAME, version, key, value)


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
