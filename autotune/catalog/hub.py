"""The Hugging Face Hub, asked for what describes a model, by huggingface_hub and into its cache.

Weights are never fetched. Names go to the Hub only where nothing on this machine knows them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import threading
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from autotune.catalog.model_files import (
    CONFIG,
    INDEX,
    QUANTIZATION_FILES,
    cache_directory,
    cached_snapshot,
    read_files,
)
from autotune.errors import InvalidModelConfigError

_REPOSITORY = re.compile(r"[0-9A-Za-z][\w.-]{0,95}/[0-9A-Za-z][\w.-]{0,95}")
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})
_CONNECT_S = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HubAnswer:
    """What the Hub said of a name.

    Attributes:
        directory: Holds the files that it gave; ``None`` where it gave none.
        reason: Why it gave none, as the rest of a sentence on it.
    """

    directory: Path | None = None
    reason: str = ""


@cache
def ask_hub(name: str, patience_s: float = 6.0) -> HubAnswer:
    """Fetch a model's config.json, its quantisation and the index of its weights; once a process.

    Environment variables count as they do for huggingface_hub: the endpoint, the token, the cache,
    and the two that keep it offline.

    Args:
        patience_s: How long to wait at most: looking up a host's address alone may hang.

    Raises:
        InvalidModelConfigError: When whoever answers is no such hub, or gives no JSON.
    """
    if not _REPOSITORY.fullmatch(name):
        return HubAnswer(reason="was not asked: its models are called ORG/NAME")
    for variable in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(variable, "").upper() in _TRUE:
            return HubAnswer(reason=f"was not asked: {variable} is set")
    if importlib.util.find_spec("huggingface_hub") is None:
        return HubAnswer(
            reason="was not asked: huggingface_hub is not installed (the extra `hf` brings it)"
        )
    return _ask_in_time(name, patience_s)


def _ask_in_time(name: str, patience_s: float) -> HubAnswer:
    """Ask in the background, where it can be given up.

    Raises:
        InvalidModelConfigError: As ``ask_hub``.
    """
    answers: list[HubAnswer] = []
    refusals: list[InvalidModelConfigError] = []

    def ask() -> None:
        try:
            answers.append(_ask(name))
        except InvalidModelConfigError as error:
            refusals.append(error)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(patience_s)
    if refusals:
        raise refusals[0]
    late = HubAnswer(
        directory=cached_snapshot(name), reason=f"did not answer within {patience_s:g} s"
    )
    return answers[0] if answers else late


def _ask(name: str) -> HubAnswer:
    """Ask by huggingface_hub, and say in our words what it says by exceptions."""
    from huggingface_hub import errors

    try:
        directory = _fetch(name)
        read_files(directory)
    except errors.GatedRepoError:
        return HubAnswer(
            reason="gives it to those alone who accepted its terms there and are logged in "
            "(HF_TOKEN)"
        )
    except errors.RepositoryNotFoundError:
        return HubAnswer(
            reason="has no model of this name, or hides it from who is not logged in (HF_TOKEN)"
        )
    except errors.RemoteEntryNotFoundError:
        return HubAnswer(reason=f"has no {CONFIG} of it")
    except InvalidModelConfigError as error:
        _forget(cached_snapshot(name))
        raise _no_hub(name, "something that is not JSON") from error
    except (errors.HFValidationError, errors.RevisionNotFoundError):
        return HubAnswer(reason="has no model of this name")
    # The bases are those of the HTTP package that it uses, which is not always the same one.
    except (OSError, *errors.HfHubHTTPError.__bases__) as error:
        cause = error.__cause__ or error
        if isinstance(cause, errors.FileMetadataError) or "Redirect" in type(cause).__name__:
            raise _no_hub(name, "no model's files") from error
        return HubAnswer(reason=f"could not be reached ({type(cause).__name__})")
    return HubAnswer(directory=directory)


def _no_hub(name: str, what: str) -> InvalidModelConfigError:
    from huggingface_hub import constants

    return InvalidModelConfigError(
        f"{_endpoint() or constants.ENDPOINT} answered for {name} with {what}: check HF_ENDPOINT "
        "and the proxy, or set HF_HUB_OFFLINE=1 to do without the Hub"
    )


def _endpoint() -> str | None:
    """Return the endpoint that the environment names now; huggingface_hub read it when imported."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or None


def _fetch(name: str) -> Path:
    """Fetch the files into the cache, and return the directory in which they lie there.

    What beside config.json cannot be had is done without.
    """
    from huggingface_hub import errors, get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils import disable_progress_bars, logging

    disable_progress_bars()
    logging.set_verbosity_error()

    def fetch(file: str) -> Path:
        path = hf_hub_download(
            name,
            file,
            cache_dir=cache_directory(),
            endpoint=_endpoint(),
            etag_timeout=_CONNECT_S,
            library_name="autotune",
        )
        return Path(path)

    # Asked first, since downloads try a hub that cannot be reached again for half a minute.
    url = hf_hub_url(name, CONFIG, endpoint=_endpoint())
    if get_hf_file_metadata(url, timeout=_CONNECT_S, endpoint=_endpoint()).commit_hash is None:
        raise errors.FileMetadataError(f"{url} names no commit")
    config = fetch(CONFIG)
    for beside in (INDEX, *QUANTIZATION_FILES):
        with contextlib.suppress(OSError, errors.EntryNotFoundError):
            fetch(beside)
    return config.parent


def _forget(directory: Path | None) -> None:
    """Take what is no JSON out of the cache, so that it is asked for again."""
    if directory is None:
        return
    for name in (CONFIG, INDEX, *QUANTIZATION_FILES):
        path = directory / name
        with contextlib.suppress(OSError):
            path.resolve().unlink()
            path.unlink()
