"""Where two scrapes come from: two files, or a running server that is asked twice."""

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from autotune.errors import InvalidConfigError, UsageError
from autotune.importers.scrapes.vllm_metrics import Scrape, check_pair, read_scrape, served_between
from autotune.schema.served_load import ServedLoad
from autotune.schema.validation import check_positive

OPTION: Final = "--from-metrics"
APART_S: Final = 30.0
_PATH: Final = "/metrics"
_PATIENCE_S: Final = 10.0
_MOST_BYTES: Final = 32 * 2**20
# Files written within less than this were hardly scraped and waited for.
_SHORTEST_S: Final = 1.0


def read_load(
    places: Sequence[str],
    apart_s: float | None = None,
    *,
    say: Callable[[str], None] = lambda _: None,
    wait: Callable[[float], None] = time.sleep,
) -> ServedLoad:
    """Return what a vLLM server serves.

    Args:
        places: Two files, the earlier scrape first, or the address of one server.
        apart_s: Seconds between the two scrapes; of files, the times they were written say it
            where it is left out.
        say: Told what is waited for.
        wait: Lets so many seconds go by.

    Raises:
        UsageError: For anything but two scrapes of one vLLM server between which requests ended.
    """
    if apart_s is not None:
        check_positive("--scrape-seconds", apart_s)
    addresses = [place for place in places if "://" in place]
    if len(places) == 1 and addresses:
        return _ask_twice(places[0], apart_s or APART_S, say, wait)
    if addresses or len(places) != 2:
        raise InvalidConfigError(
            f"{OPTION} takes two files of one server (the option twice, the earlier scrape first), "
            f"or one address, which is scraped twice; it was given {len(places)}"
        )
    return _from_files(Path(places[0]), Path(places[1]), apart_s)


def _from_files(earlier: Path, later: Path, apart_s: float | None) -> ServedLoad:
    first, second = (_read(path) for path in (earlier, later))
    check_pair(first, second)
    if apart_s is not None:
        return served_between(first, second, apart_s, "user")
    written_s = later.stat().st_mtime - earlier.stat().st_mtime
    if written_s < _SHORTEST_S:
        raise InvalidConfigError(
            f"when {earlier} and {later} were written does not say how far apart the scrapes are "
            f"({written_s:.1f} s): give --scrape-seconds"
        )
    return served_between(first, second, written_s, "files")


def _read(path: Path) -> Scrape:
    try:
        with path.open("rb") as file:
            text = _text(file.read(_MOST_BYTES + 1), str(path))
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from error
    return read_scrape(text, path.name)


def _ask_twice(
    given: str, apart_s: float, say: Callable[[str], None], wait: Callable[[float], None]
) -> ServedLoad:
    url = _metrics_url(given)
    first, first_at = _ask(url)
    say(f"scraped {_shown(url)}; once more in {apart_s:g} s")
    wait(apart_s)
    second, second_at = _ask(url)
    return served_between(first, second, second_at - first_at, "clock")


def _ask(url: str) -> tuple[Scrape, float]:
    """Return a scrape, and when it came by a clock that nobody sets."""
    try:
        with urllib.request.urlopen(url, timeout=_PATIENCE_S) as answer:
            data, came_at = answer.read(_MOST_BYTES + 1), time.monotonic()
    # An HTTP error is a file that its reader must close.
    except urllib.error.HTTPError as error:
        error.close()
        raise _no_answer(url, f"HTTP {error.code}") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise _no_answer(url, str(reason) or type(error).__name__) from error
    return read_scrape(_text(data, _shown(url)), _shown(url)), came_at


def _no_answer(url: str, reason: str) -> UsageError:
    return UsageError(
        f"{_shown(url)} gives no metrics ({reason[:200]}): is the server running, and is this the "
        f"address of its {_PATH}?"
    )


def _metrics_url(given: str) -> str:
    """Return the address to ask; one without a path is a server's.

    Raises:
        InvalidConfigError: For what is no address of a web server, and for a password in it.
    """
    try:
        parts = urlsplit(given)
        is_served = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1)
    except ValueError:
        is_served = False
    if not is_served or not given.isascii() or any(letter.isspace() for letter in given):
        raise InvalidConfigError(
            f"{OPTION} {given[:200]!r} is no address: it looks like http://localhost:8000{_PATH}"
        )
    if "@" in parts.netloc:
        raise InvalidConfigError(
            f"{OPTION} takes no user and password: save two scrapes by another program, and give "
            "the files"
        )
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") or _PATH, fragment=""))


def _shown(url: str) -> str:
    """Return an address without what may be a token in it."""
    return urlunsplit(urlsplit(url)._replace(query=""))


def _text(data: bytes, origin: str) -> str:
    if len(data) > _MOST_BYTES:
        raise InvalidConfigError(f"{origin} is larger than {_MOST_BYTES // 2**20} MiB: no scrape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InvalidConfigError(
            f"{origin} is no text: a scrape is what a vLLM server answers at {_PATH}"
        ) from None
