"""A folder with a store in it, and the command line run there as a user runs it."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

AUTOTUNE = Path(sys.executable).with_name("autotune")


@dataclass(frozen=True)
class Ran:
    """A finished command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Workspace:
    """A folder with a store in it, and the command line run there."""

    folder: Path

    def __call__(self, *arguments: object, timeout: float = 300, **environment: str) -> Ran:
        known = {k: v for k, v in os.environ.items() if k != "MLFLOW_TRACKING_URI"}
        done = subprocess.run(
            [str(AUTOTUNE), *map(str, arguments)],
            cwd=self.folder,
            env=known | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.folder}/mlruns/mlflow.db"
