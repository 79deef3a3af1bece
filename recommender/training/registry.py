"""MLflow's model registry: every surrogate that was trained, and which one is in force.

The registered model is ``autotune-surrogate``; its alias ``champion`` names the version in force.
Tags of a version say when it was promoted, which one it replaced and when it was rolled back.
"""

import datetime
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
from mlflow.exceptions import MlflowException
from mlflow.models import infer_signature

from autotune.errors import StoreError
from autotune.schema.configuration import Configuration
from autotune.store.tracking.layout import KIND, NOTE, Source
from autotune.store.tracking.server import redact
from autotune.store.tracking.store import EXPERIMENT, Store
from recommender.features.encode import FEATURE_NAMES, encode
from recommender.surrogate.artifact import META_FILE, TREES_FILE
from recommender.surrogate.in_force import CHAMPION
from recommender.training import fit as surrogate

MODEL_NAME = "autotune-surrogate"
SHIPPED, REPLACED = "autotune.shipped", "autotune.replaced"
PROMOTED_AT, ROLLED_BACK_AT = "autotune.promoted_at", "autotune.rolled_back_at"
_RUN_ID = "run_id"
CARD = "MODEL_CARD.md"
_ABOUT = (
    "Predicts the natural logarithm of measured over roofline throughput of a serving "
    "configuration. `autotune recommend` asks the version with the alias **champion**; each "
    "version's run holds its duel against the champion before it (`duel.md`). "
    "`autotune train` makes a version, `autotune train --rollback` takes the last back."
)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a version and the run that made it say of themselves.

    Attributes:
        description: Markdown.
        sources: What it learned from.
    """

    name: str
    description: str
    params: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    sources: Sequence[Source] = ()


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
        self._store = store
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
        files = [folder / TREES_FILE, folder / META_FILE, folder / CARD]
        entry = Entry(
            name="surrogate · shipped",
            description="The shipped surrogate, learned from what others published; its model card "
            "is among the artifacts of its run.",
        )
        version = self.register(folder, files, entry)
        self._tag(version, SHIPPED, "true")
        return version

    def register(self, folder: Path, files: Sequence[Path], entry: Entry) -> str:
        """Log a surrogate as an MLflow XGBoost model; return its version.

        Args:
            files: What is logged beside the model.
        """
        import mlflow.xgboost

        booster = surrogate.load_booster(folder)
        booster.feature_names = list(FEATURE_NAMES)
        example = _example()
        with mlflow.start_run(run_name=entry.name, tags={KIND: "training"}) as run:
            mlflow.log_params(dict(entry.params))
            mlflow.log_metrics(dict(entry.metrics))
            mlflow.set_tag(NOTE, entry.description)
            info = mlflow.xgboost.log_model(
                booster,
                name="surrogate",
                model_format="json",
                signature=infer_signature(example, np.zeros(1)),
                input_example=example,
                pip_requirements=["xgboost>=2.1", "numpy"],
                metadata={"features": ",".join(FEATURE_NAMES)},
            )
            for path in files:
                mlflow.log_artifact(str(path))
            self._store.log_sources(run.info.run_id, entry.sources)
        version = self._new_version(info, run.info.run_id, entry.description)
        self._tag(version, _RUN_ID, run.info.run_id)
        return version

    def _new_version(self, info: Any, run_id: str, description: str) -> str:
        if not self._client.search_registered_models(f"name = '{MODEL_NAME}'"):
            self._client.create_registered_model(MODEL_NAME, description=_ABOUT)
        made = self._client.create_model_version(
            MODEL_NAME,
            source=info.model_uri,
            run_id=run_id,
            model_id=info.model_id,
            description=description,
        )
        return str(made.version)

    def _tag(self, version: str, key: str, value: str) -> None:
        self._client.set_model_version_tag(MODEL_NAME, version, key, value)


def _example() -> Any:
    """Return one configuration's features by their names."""
    from pandas import DataFrame

    return DataFrame(np.nan_to_num(encode([_EXAMPLE])), columns=list(FEATURE_NAMES))


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
