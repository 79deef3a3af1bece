"""What the integration tests share: a folder to run commands in."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.workspace import AUTOTUNE, Ran, Workspace

__all__ = ["AUTOTUNE", "Ran", "Workspace"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str, str], Path]:
    def write_file(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write_file
