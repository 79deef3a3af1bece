"""What surrounds a tracking store: its address in messages, its database file, its server."""

import contextlib
import logging
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from autotune.processes import end_group
from autotune.runner.environment import scrub
from autotune.store.location import SQLITE_PREFIX

_GRACE_S = 10.0
# MLflow's own would try a server that is away for four minutes a request.
_MLFLOW_DEFAULTS = {
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}

# Its job queue judges traces of language models, of which these stores have none: two processes.
_SERVER_DEFAULTS = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}


def redact(uri: str) -> str:
    """Return the URI without user name and password."""
    scheme, separator, rest = uri.partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else uri


def first_line(error: Exception) -> str:
    """Return the first line of what a library said, without the passwords of addresses in it."""
    return scrub((str(error).strip() or repr(error)).splitlines()[0])


def quiet_mlflow() -> None:
    """Keep migrations, progress bars, usage reports and long waits out of the way.

    Whatever the user's environment says already stays.
    """
    for name, value in _MLFLOW_DEFAULTS.items():
        os.environ.setdefault(name, value)
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # It prints the traceback of every refusal, which comes as an exception all the same.
    logging.getLogger("mlflow.store.db.utils").setLevel(logging.CRITICAL)


def prepare_database(uri: str, build: Callable[[str], None]) -> None:
    """Create a sqlite store that does not exist yet, whole or not at all, with a write-ahead log.

    Logging a run takes MLflow seven transactions; with the log they need no wait for the disk, and
    others may read meanwhile.

    Args:
        build: Has MLflow lay its tables out in the store of a URI. A crash or a full disk leaves
            them half done, and MLflow cannot mend that, so they are laid out under another name.

    Raises:
        sqlite3.Error: When the file cannot be created.
    """
    path = Path(uri.removeprefix(SQLITE_PREFIX))
    if not uri.startswith(SQLITE_PREFIX) or path.exists():
        return
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f"{path.name}.") as folder:
        draft, whole = Path(folder) / "draft.db", Path(folder) / path.name
        build(f"{SQLITE_PREFIX}{draft}")
        with (
            contextlib.closing(sqlite3.connect(draft)) as source,
            contextlib.closing(sqlite3.connect(whole)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode=WAL")
        whole.rename(path)


@event.listens_for(Engine, "connect")
def _sync_at_checkpoints(connection: Any, _: object) -> None:
    """With a write-ahead log, sync at its checkpoints alone.

    A power failure may then cost the last runs in MLflow (the journal has them), never the file.
    """
    if not isinstance(connection, sqlite3.Connection):
        return
    try:
        if connection.execute("PRAGMA journal_mode").fetchone() == ("wal",):
            connection.execute("PRAGMA synchronous=NORMAL")
    except sqlite3.DatabaseError:
        return  # no database: MLflow says so at its first query


def serve_ui(uri: str, port: int) -> int:
    """Run MLflow's own server on the store, on the loopback interface, until it is interrupted.

    The server and its workers are gone when this returns, however it ends.
    """
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    # One person looks: each further worker takes seconds to start.
    command += ["--workers", "1"]
    # Not an argument: everybody on the host can read those, and the address may hold a password.
    environment = {**_SERVER_DEFAULTS, **os.environ, "MLFLOW_BACKEND_STORE_URI": uri}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        return process.wait()
    finally:
        end_group(process.pid, grace_s=_GRACE_S)
        process.wait()
