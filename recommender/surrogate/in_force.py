"""The surrogate in force, beside the store: a link to one of the versions kept there.

The registry's alias is the truth; the link follows it, in one step that readers see whole. No link,
or one to a surrogate of another format, means the shipped surrogate. Cold answers read through the
link and never open MLflow.
"""

import contextlib
import fcntl
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from recommender.surrogate.artifact import FORMAT, format_of
from recommender.surrogate.predictor import PRETRAINED, Predictor

CHAMPION, VERSIONS = "champion", "surrogates"


def load_predictor(directory: Path) -> Predictor:
    """Return the champion trained from this store, or the shipped surrogate.

    Raises:
        SurrogateError: When it is damaged.
    """
    return Predictor.load(surrogate_directory(directory))


def surrogate_directory(directory: Path) -> Path:
    """Return where the surrogate in force lies; it stays whole when another takes its place."""
    champion = directory / CHAMPION
    is_in_force = champion.is_dir() and set_aside(directory) is None
    return champion.resolve() if is_in_force else PRETRAINED


def version_in_force(directory: Path) -> str | None:
    """Return the registry version that cold answers use; ``None`` for the shipped surrogate."""
    link = directory / CHAMPION
    is_version = link.is_symlink() and link.is_dir() and set_aside(directory) is None
    return link.readlink().name if is_version else None


def set_aside(directory: Path) -> str | None:
    """Return why the champion of a store does not answer, in a sentence; ``None`` if it does.

    One of another format was trained by another version of this program; the shipped surrogate
    answers in its place.
    """
    champion = directory / CHAMPION
    found = format_of(champion) if champion.is_dir() else None
    if found in (None, FORMAT):
        return None
    return (
        f"the champion of this store has format {found} and this version reads {FORMAT}: it is set "
        "aside and the shipped surrogate answers; `autotune train` makes a new one"
    )


def put_in_force(directory: Path, version: str, source: Path) -> None:
    """Keep a copy of a surrogate's folder as a version, and let cold answers use it."""
    kept = directory / VERSIONS / version
    kept.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix=f"{version}.") as staging:
        copy = Path(staging) / version
        copy.mkdir()
        for path in source.iterdir():
            shutil.copyfile(path, copy / path.name)
        if kept.exists():
            kept.rename(Path(staging) / "replaced")
        copy.rename(kept)
    link = directory / CHAMPION
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    new = directory / f"{CHAMPION}.new"
    new.unlink(missing_ok=True)
    new.symlink_to(Path(VERSIONS) / version)
    new.replace(link)


def return_to_shipped(directory: Path) -> None:
    """Let cold answers use the shipped surrogate."""
    link = directory / CHAMPION
    if link.is_dir() and not link.is_symlink():
        shutil.rmtree(link)
    link.unlink(missing_ok=True)


@contextlib.contextmanager
def changing(directory: Path) -> Iterator[None]:
    """Let one process of this host after the other change which surrogate is in force."""
    with (directory / ".champion.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
