"""Public sources of measurements, fetched by commit into the user's cache.

A source is one file whose SHA-256 is known, or the archive of a commit: a commit's id is itself
a checksum of its content, but GitHub packs archives anew, so an archive has no lasting SHA-256
and is taken with a warning that says so.
"""

import hashlib
import os
import shutil
import tarfile
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from autotune.errors import InvalidConfigError, UsageError, did_you_mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a source lies.

    Attributes:
        repository: GitHub's ``owner/name``.
        commit: The commit that is fetched.
        path: The file, or with an archive the folder, within the repository.
        sha256: Checksum of the file; ``None`` for an archive or where it is not known.
        is_archive: Whether the whole commit is fetched, for a folder of files.
        licence: What the source allows, as its repository says.
    """

    repository: str
    commit: str
    path: str
    sha256: str | None = None
    is_archive: bool = False
    licence: str

    @property
    def url(self) -> str:
        """Address of the file or archive."""
        if self.is_archive:
            return f"https://github.com/{self.repository}/archive/{self.commit}.tar.gz"
        return f"https://raw.githubusercontent.com/{self.repository}/{self.commit}/{self.path}"


SOURCES: Final[Mapping[str, Source]] = {
    "llm-inference-bench": Source(
        repository="argonne-lcf/LLM-Inference-Bench",
        commit="4211f5d",
        path="Plots/All_results.csv",
        licence="BSD-3-Clause",
    ),
    "llm-pilot": Source(
        repository="IBM/LLM-performance-prediction",
        commit="3c66483",
        path="preprocess_data/performance_characterization_data_raw",
        is_archive=True,
        licence="CDLA-Permissive-2.0",
    ),
    "ml-energy": Source(
        repository="ml-energy/leaderboard-v2",
        commit="c3af7f3",
        path="data/llm_text_generation",
        is_archive=True,
        licence="Apache-2.0",
    ),
    "infpop": Source(
        repository="UPCBarcelonaTech/infpop",
        commit="1b4908c",
        path="",
        is_archive=True,
        licence="none given",
    ),
    "trtllm": Source(
        repository="NVIDIA/TensorRT-LLM",
        commit="138f96d45f90b9667426f7c47297d8c06bafac73",
        path="docs/source/performance.md",
        licence="Apache-2.0",
    ),
}


def fetch(name: str) -> Path:
    """Return the source's file or folder in the user's cache, fetched when it is not there.

    Raises:
        UsageError: For a name that is no public source, or when it cannot be fetched: the message
            says what to fetch and where to put it.
    """
    if name not in SOURCES:
        raise InvalidConfigError(
            f"--download knows no source {name!r}; it fetches {', '.join(SOURCES)}."
            f"{did_you_mean(name, SOURCES)}"
        )
    source, folder = SOURCES[name], cache_folder() / name / SOURCES[name].commit
    wanted = folder / (Path("files", source.path) if source.is_archive else Path(source.path).name)
    if not wanted.exists():
        _retrieve(name, source, folder, wanted)
    return wanted


def cache_folder() -> Path:
    """Return where fetched sources lie: ``AUTOTUNE_CACHE``, or the user's cache."""
    if chosen := os.environ.get("AUTOTUNE_CACHE"):
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autotune"


def _retrieve(name: str, source: Source, folder: Path, wanted: Path) -> None:
    try:
        import pooch

        fetched = Path(
            pooch.retrieve(
                source.url,
                known_hash=None if source.sha256 is None else f"sha256:{source.sha256}",
                fname=Path(source.url).name,
                path=folder,
            )
        )
        if source.is_archive:
            _unpack(fetched, source, folder)
    except (ImportError, OSError, ValueError, tarfile.TarError) as error:
        raise UsageError(_by_hand(name, source, wanted, error)) from error
    if not wanted.exists():
        raise UsageError(f"{source.url} holds no {source.path or 'file'}")
    if source.sha256 is None:
        _record_checksum(fetched, source)


def _record_checksum(fetched: Path, source: Source) -> None:
    """Write down the SHA-256 of what came, which nobody could tell beforehand, and say so."""
    digest = hashlib.sha256(fetched.read_bytes()).hexdigest()
    fetched.with_name(fetched.name + ".sha256").write_text(digest + "\n", encoding="utf-8")
    warnings.warn(
        f"{source.url} has no SHA-256 to check against: it is pinned by commit {source.commit} "
        f"alone; what came has {digest}",
        stacklevel=4,
    )


def _unpack(archive: Path, source: Source, folder: Path) -> None:
    """Unpack the wanted part of an archive, without the folder that GitHub puts around it.

    It appears under its name only when it is whole.
    """
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    with tarfile.open(archive) as tar:
        for member in tar.getmembers():
            inner = member.name.partition("/")[2]
            if member.isfile() and _lies_in(inner, source.path):
                tar.extract(member.replace(name=inner, deep=False), partial, filter="data")
    if partial.exists():
        partial.rename(folder / "files")


def _lies_in(name: str, path: str) -> bool:
    return bool(name) and (not path or name == path or name.startswith(path + "/"))


def _by_hand(name: str, source: Source, wanted: Path, error: Exception) -> str:
    what = f"the folder {source.path or '/'} of {source.url}" if source.is_archive else source.url
    return (
        f"cannot fetch {name} ({type(error).__name__}: {str(error)[:200]}). On a machine with a "
        f"network, fetch {what} (licence: {source.licence}), bring it here as {wanted}, and run "
        f"`autotune import {wanted} --format {name}`"
    )
