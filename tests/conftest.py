"""What the tests share: the demo model, a store filled by the demo, and this host's name."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from autotune.catalog.gpus import detect_cpu
from autotune.engines.demo_model import build_demo_model
from tests.support.workspace import Ran, Workspace

# A shared machine is slow at times; that is no finding.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
settings.load_profile("steady")


@pytest.fixture(scope="session")
def demo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small real model, built once."""
    pytest.importorskip("tokenizers", reason="the demo model needs the extra `hf`")
    return build_demo_model(tmp_path_factory.mktemp("models") / "demo-llama")


@pytest.fixture(scope="session")
def cpu() -> str:
    """The catalogue name of this host's processor."""
    return detect_cpu().name


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Ran]:
    """The demo, run once; tests only read what it left."""
    workspace = Workspace(tmp_path_factory.mktemp("demo"))
    return workspace, workspace("demo", timeout=600)
