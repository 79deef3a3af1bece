"""A folder with a store in it, and the command line run there as a user runs it."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from autotune.cli import main

AUTOTUNE = Path(sys.executable).with_name("autotune")


@dataclass(frozen=True)
class Ran:
    """A finished command; one that ended by a traceback is not what was promised."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err, self.err

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Workspace:
    """A folder with a store in it, and the command line run there: as a process, or here."""

    folder: Path

    def __call__(self, *arguments: object, timeout: float = 300, **environment: str) -> Ran:
        """Run ``autotune`` in a process of its own: seconds for its imports."""
        done = subprocess.run(
            [str(AUTOTUNE), *map(str, arguments)],
            cwd=self.folder,
            env=clean_environment() | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def here(self, *arguments: object, **environment: str) -> Ran:
        """Run the same in this process, which has imported everything already."""
        return run_here(self.folder, *arguments, environment=environment)

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlruns/mlflow.db"


def run_here(folder: Path, *arguments: object, environment: Mapping[str, str]) -> Ran:
    """Run ``autotune`` in this process, in a folder and with additions to the environment.

    Its default store is named by its whole path: MLflow keeps stores open by their addresses, and
    one that begins at the current folder is another's in the next folder.
    """
    store = f"sqlite:///{folder}/mlruns/mlflow.db"
    runner = CliRunner(env={"MLFLOW_TRACKING_URI": store, **environment})
    with contextlib.chdir(folder):
        done = runner.invoke(main, [str(argument) for argument in arguments], prog_name="autotune")
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Ran(done.exit_code, done.stdout, done.stderr)


def clean_environment() -> dict[str, str]:
    """Return this process's environment without the store that its user may have chosen."""
    return {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}


def on_path(*folders: Path) -> str:
    """Return a PYTHONPATH with folders before what is on this process's."""
    own = os.environ.get("PYTHONPATH")
    return os.pathsep.join([*map(str, folders), *([own] if own else [])])
