"""Where a store is, and where autotune keeps what belongs to it: cache, journals, advice, reports.

Of sqlite stores the one named ``mlflow.db`` has its folder to itself, and every other a folder of
its own beside its database, so that two stores in one folder share nothing. A store of another name
that was alone in a folder when stores still shared it keeps that; a file there names it.
"""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import Final

DEFAULT_DIRECTORY = Path("mlruns")
SQLITE_PREFIX: Final = "sqlite:///"
_DEFAULT_NAME: Final = "mlflow.db"
_OWNER: Final = ".autotune-store"
_WRITTEN_HERE: Final = ("cache", "recommendations", "journals", "champion")
_SQLITE_MAGIC: Final = b"SQLite format 3\0"


def default_uri() -> str:
    """Return ``MLFLOW_TRACKING_URI``, or the sqlite store under ``mlruns/`` of this directory."""
    default = f"{SQLITE_PREFIX}{DEFAULT_DIRECTORY}/{_DEFAULT_NAME}"
    return os.environ.get("MLFLOW_TRACKING_URI") or default


def store_directory(uri: str) -> Path:
    """Return where autotune keeps what belongs to a store: beside it, or in the user's cache."""
    if uri.startswith(SQLITE_PREFIX):
        database = Path(uri.removeprefix(SQLITE_PREFIX))
        owner = _owner(database.parent)
        if database.name == (owner or _DEFAULT_NAME):
            return database.parent
        return database.with_name(f"{database.name}.autotune")
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return home / "autotune" / hashlib.sha256(uri.encode()).hexdigest()[:16]


def remember_owner(uri: str) -> None:
    """Write down whose folder it is where a store's name does not say so, before another comes."""
    folder = Path(uri.removeprefix(SQLITE_PREFIX)).parent
    if uri.startswith(SQLITE_PREFIX) and (owner := _owner(folder)) not in (None, _DEFAULT_NAME):
        (folder / _OWNER).write_text(f"{owner}\n", encoding="utf-8")


def _owner(folder: Path) -> str | None:
    """Return the name of the database that a folder's contents belong to, if that is known."""
    named = folder / _OWNER
    if named.is_file():
        return named.read_text(encoding="utf-8").strip()
    if (folder / _DEFAULT_NAME).exists():
        return _DEFAULT_NAME
    if not any((folder / name).exists() for name in _WRITTEN_HERE):
        return None
    databases = [path.name for path in folder.iterdir() if _is_database(path)]
    return databases[0] if len(databases) == 1 else None


def _is_database(path: Path) -> bool:
    with contextlib.suppress(OSError), path.open("rb") as file:
        return file.read(len(_SQLITE_MAGIC)) == _SQLITE_MAGIC
    return False
