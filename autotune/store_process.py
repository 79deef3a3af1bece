"""What surrounds a tracking store: its address in messages, its database file, its server."""

import logging
import os
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Engine

from autotune.processes import end_group

SQLITE_PREFIX = "sqlite:///"
_GRACE_S = 10.0


def redact(uri: str) -> str:
    """Return the URI without user name and password."""
    scheme, separator, rest = uri.partition("://")
    return scheme + separator + rest.rpartition("@")[2] if separator else uri


def first_line(error: Exception) -> str:
    """Return the first line of what a library said, which may go on for pages."""
    return (str(error).strip() or repr(error)).splitlines()[0]


def quiet_mlflow() -> None:
    """Keep migrations, progress bars and usage reports of bulk logging out of the way.

    Whatever the user's environment says already stays.
    """
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    for name in ("alembic", "mlflow"):
        logging.getLogger(name).setLevel(logging.WARNING)


def prepare_database(uri: str) -> None:
    """Give a sqlite store that does not exist yet a write-ahead log; leave others as they are.

    Logging a run takes MLflow seven transactions; with the log they need no wait for the disk, and
    others may read meanwhile.

    Raises:
        sqlite3.Error: When the file cannot be created.
    """
    if not uri.startswith(SQLITE_PREFIX) or Path(uri.removeprefix(SQLITE_PREFIX)).exists():
        return
    connection = sqlite3.connect(uri.removeprefix(SQLITE_PREFIX))
    try:
        connection.execute("PRAGMA journal_mode=WAL")
    finally:
        connection.close()


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
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", uri]
    # one person looks: each further worker takes seconds to start
    address = ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen([*command, *address], start_new_session=True)
    try:
        return process.wait()
    finally:
        end_group(process.pid, grace_s=_GRACE_S)
        process.wait()
