"""Empty stores without the seconds that MLflow's migrations take: copies of one that was laid out.

A store that the command line makes for itself is tested by tests/integration/test_tracking.py, the
demo and the README's commands; everybody else's may be a copy.
"""

import fcntl
import shutil
from pathlib import Path

from mlflow import MlflowClient

from autotune.store.location import SQLITE_PREFIX
from autotune.store.tracking.server import prepare_database
from autotune.store.tracking.store import EXPERIMENT


def laid_out_database(shared: Path) -> Path:
    """Return a database as a store's is before its first experiment, laid out once for all.

    Args:
        shared: A folder that all workers of this run share.
    """
    database = shared / "laid-out" / "mlflow.db"
    database.parent.mkdir(exist_ok=True)
    with (database.parent / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        prepare_database(f"{SQLITE_PREFIX}{database}", _migrate)
    return database


def _migrate(uri: str) -> None:
    MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)


def put_store(database: Path, folder: Path, name: str = "mlruns/mlflow.db") -> str:
    """Copy a laid-out database to where a store is expected; return the store's URI."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(database, path)
    return f"{SQLITE_PREFIX}{path}"
