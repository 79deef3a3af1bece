"""``autotune train`` and ``--rollback`` on a real store and its registry."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from mlflow import MlflowClient

from autotune.cli import main
from autotune.schema.validation import OWN_SOURCE
from autotune.store.tracking.store import Store
from recommender.features.encode import FEATURE_NAMES
from recommender.surrogate.in_force import load_predictor, return_to_shipped, version_in_force
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training.registry import MODEL_NAME, PROMOTED_AT, REPLACED, ROLLED_BACK_AT
from tests.support.records import record

# MLflow warns of the type hints of its own XGBoost flavour when it is imported.
pytestmark = pytest.mark.filterwarnings("ignore:.*Any type hint is inferred:UserWarning")

Command = Callable[..., Result]
QUESTIONS = [record(batch_size=2**k).configuration for k in range(10)]
SHIPPED = Predictor.load(PRETRAINED)


def store_with_runs(folder: Path, new_store: Callable[[Path], str]) -> str:
    uri = new_store(folder)
    Store(uri).log(own_runs("H200", 0.6))
    return uri


def training(uri: str) -> Command:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(main, ["train", "--tracking-uri", uri, *arguments])

    return invoke


@pytest.fixture
def uri(tmp_path: Path, new_store: Callable[[Path], str]) -> str:
    return store_with_runs(tmp_path, new_store)


@pytest.fixture
def train(uri: str) -> Command:
    return training(uri)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, new_store: Callable[[Path], str]) -> str:
    """A store that was trained on once; tests only look at it."""
    uri = store_with_runs(tmp_path_factory.mktemp("trained"), new_store)
    done = training(uri)("--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["promoted"] is True
    return uri


def own_runs(gpu: str, factor: float) -> list:
    drafts = [record(source=OWN_SOURCE, gpu=gpu, batch_size=2**k) for k in range(10)]
    said = SHIPPED.predict([draft.configuration for draft in drafts])
    return [
        record(
            source=OWN_SOURCE,
            gpu=gpu,
            batch_size=draft.batch_size,
            output_throughput=prediction.output_throughput * factor,
        )
        for draft, prediction in zip(drafts, said, strict=True)
    ]


def answers(uri: str, directory: Path) -> list[float]:
    """What a cold answer says without any known runs."""
    predictor = load_predictor(directory / "mlruns")
    return [prediction.output_throughput for prediction in predictor.predict(QUESTIONS)]


def champion(uri: str) -> Any:
    return MlflowClient(uri).get_model_version_by_alias(MODEL_NAME, "champion")


def test_every_champion_can_be_rolled_back_down_to_the_shipped_one_and_training_goes_on(
    uri: str, train: Command, tmp_path: Path
) -> None:
    shipped = answers(uri, tmp_path)
    first = train("--json")
    assert first.exit_code == 0, first.output
    assert json.loads(first.stdout)["promoted"] is True
    after_first = answers(uri, tmp_path)
    assert after_first != shipped
    assert train("--promote", "always").exit_code == 0
    assert version_in_force(tmp_path / "mlruns") == "3"
    assert champion(uri).tags[REPLACED] == "2"

    back = train("--rollback")
    assert back.exit_code == 0, back.output
    assert "version 2 is champion again; version 3 is not any more" in back.output
    assert str(champion(uri).version) == "2"
    assert answers(uri, tmp_path) == after_first
    assert ROLLED_BACK_AT in MlflowClient(uri).get_model_version(MODEL_NAME, "3").tags

    again = train("--rollback", "--json")
    assert json.loads(again.stdout) == {"rolled_back": "2", "champion_version": "1"}
    assert answers(uri, tmp_path) == shipped
    assert version_in_force(tmp_path / "mlruns") is None

    end = train("--rollback")
    assert end.exit_code == 1
    assert "nothing to roll back to" in end.output
    assert "shipped surrogate" in end.output
    assert str(champion(uri).version) == "1"

    assert train("--promote", "always").exit_code == 0
    assert str(champion(uri).version) == "4"
    assert champion(uri).tags[REPLACED] == "1"
    assert "version 1, the shipped surrogate, is champion again" in train("--rollback").output


def test_without_a_champion_there_is_nothing_to_go_back_to(train: Command) -> None:
    done = train("--rollback")
    assert done.exit_code == 1
    assert "this store has no champion" in done.output


def test_a_crash_between_alias_and_link_is_mended_and_an_alias_moved_by_hand_is_followed(
    uri: str, train: Command, tmp_path: Path
) -> None:
    assert train().exit_code == 0
    learned = answers(uri, tmp_path)
    # the alias was set, the link was not
    return_to_shipped(tmp_path / "mlruns")
    done = train("--promote", "never", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["champion_version"] == "2"
    assert version_in_force(tmp_path / "mlruns") == "2"
    assert answers(uri, tmp_path) == learned

    MlflowClient(uri).set_registered_model_alias(MODEL_NAME, "champion", "1")
    assert train("--promote", "never").exit_code == 0
    assert version_in_force(tmp_path / "mlruns") is None


def test_the_duel_is_an_artifact_and_the_history_is_in_tags(trained: str) -> None:
    client = MlflowClient(trained)
    version = champion(trained)
    assert PROMOTED_AT in version.tags
    names = {item.path for item in client.list_artifacts(version.tags["run_id"])}
    assert {"duel.md", "duel.json", "surrogate.json", "meta.json", "learned_from.txt"} <= names
    run = client.get_run(version.tags["run_id"])
    assert run.data.metrics["challenger_ape"] < run.data.metrics["champion_ape"]
    assert "challenger_coverage90" in run.data.metrics


def test_the_same_runs_do_not_win_twice_and_new_ones_do(
    uri: str, train: Command, tmp_path: Path
) -> None:
    assert json.loads(train("--json").stdout)["promoted"] is True
    again = json.loads(train("--json").stdout)
    assert again["promoted"] is False
    assert again["duel"]["champion_refitted"] is True
    Store(uri).log([*own_runs("A100-80GB", 0.5), *own_runs("H100-80GB", 0.5)])
    more = json.loads(train("--json").stdout)
    assert more["promoted"] is True
    assert {fold["kind"] for fold in more["duel"]["folds"]} == {"gpu"}


def test_a_version_can_be_loaded_by_mlflow_with_its_own_example(trained: str) -> None:
    import mlflow

    client = MlflowClient(trained)
    champion = client.get_model_version_by_alias(MODEL_NAME, "champion")
    assert "Challenger against champion" in champion.description
    assert "autotune recommend" in client.get_registered_model(MODEL_NAME).description
    mlflow.set_tracking_uri(trained)
    loaded = mlflow.pyfunc.load_model(f"models:/{MODEL_NAME}@champion")
    assert tuple(loaded.metadata.get_input_schema().input_names()) == FEATURE_NAMES
    example = mlflow.models.Model.load(f"models:/{MODEL_NAME}@champion").load_input_example()
    assert len(loaded.predict(example)) == 1
    run = client.get_run(champion.run_id)
    assert run.inputs.dataset_inputs[0].dataset.name == "runs of this store"
    files = {item.path for item in client.list_artifacts(champion.run_id)}
    assert {"duel.md", "judged.png", "residuals-gpu.png", "residuals-model.png"} <= files
