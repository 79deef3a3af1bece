"""Where scrapes come from: two files, one address asked twice; and what is refused instead."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from autotune.errors import UsageError
from autotune.importers.scrapes.take import read_load
from autotune.schema.served_load import ServedLoad
from tests.support.ports import HOST, free_port
from tests.support.scrapes import Request, scrape

EARLIER, LATER = scrape([]), scrape([Request()] * 4)


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    """Two scrapes, written 20 s apart."""
    paths = tmp_path / "earlier.txt", tmp_path / "later.txt"
    for path, text, written in ((paths[0], EARLIER, 1.7e9), (paths[1], LATER, 1.7e9 + 20)):
        path.write_text(text)
        os.utime(path, (written, written))
    return str(paths[0]), str(paths[1])


@contextmanager
def server(*answers: str | int | bytes) -> Iterator[tuple[str, list[str]]]:
    """Answer one request after the other, the last for ever; the address, and what was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Keep quiet."""

        def do_GET(self) -> None:
            answer = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            self.send_response(answer if isinstance(answer, int) else 200)
            self.end_headers()
            if not isinstance(answer, int):
                self.wfile.write(answer if isinstance(answer, bytes) else answer.encode())

    with ThreadingHTTPServer((HOST, 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, args=(0.02,), daemon=True).start()
        try:
            yield f"http://{HOST}:{listening.server_address[1]}", asked
        finally:
            listening.shutdown()


def test_of_files_the_times_they_were_written_say_how_far_apart(files: tuple[str, str]) -> None:
    seen = read_load(files)
    assert (seen.window_s, seen.window_by, seen.request_throughput) == (20, "files", 0.2)
    assert seen.origin == "earlier.txt and later.txt"


def test_the_user_knows_better_how_far_apart_files_are(files: tuple[str, str]) -> None:
    seen = read_load(files, 40.0)
    assert (seen.window_s, seen.window_by, seen.request_throughput) == (40, "user", 0.1)


@pytest.mark.parametrize("path", ["", "/", "/metrics"])
def test_an_address_is_asked_twice(path: str) -> None:
    waited: list[float] = []
    said: list[str] = []
    with server(EARLIER, LATER) as (url, asked):
        seen = read_load([url + path], 3.0, say=said.append, wait=waited.append)
        assert asked == ["/metrics", "/metrics"]
        assert seen.origin == f"{url}/metrics"
        assert said == [f"scraped {url}/metrics; once more in 3 s"]
    assert (seen.n_requests, seen.window_by, waited) == (4, "clock", [3.0])
    assert 0 < seen.window_s < 60


def test_without_a_time_an_address_has_half_a_minute() -> None:
    waited: list[float] = []
    with server(EARLIER, LATER) as (url, _):
        read_load([url], wait=waited.append)
    assert waited == [30.0]


def test_a_token_in_an_address_is_told_nobody() -> None:
    with server(EARLIER, LATER) as (url, asked):
        seen = read_load([f"{url}/metrics?token=secret"], wait=lambda _: None)
        assert asked == ["/metrics?token=secret"] * 2
        assert "secret" not in str(seen.to_dict())
        with pytest.raises(UsageError) as caught:
            read_load([f"{url}/metrics?token=secret"], wait=lambda _: None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        ((404,), "gives no metrics .HTTP 404."),
        (("<html>",), "line 1 is no sample"),
        ((b"\xff\xfe",), "is no text"),
        (("up 1\n",), "no metrics of vLLM"),
        ((EARLIER, EARLIER), "the same scrape"),
        ((EARLIER, scrape([Request()], model="gpt2")), "two servers"),
        ((EARLIER, 500), "HTTP 500"),
    ],
)
def test_a_server_that_answers_something_else_is_refused(
    answers: tuple[str | int | bytes, ...], says: str
) -> None:
    with server(*answers) as (url, _), pytest.raises(UsageError, match=says):
        read_load([url], wait=lambda _: None)


def test_nobody_at_an_address_is_a_sentence() -> None:
    url = f"http://{HOST}:{free_port()}"
    with pytest.raises(UsageError, match=r"gives no metrics .*is the server running"):
        read_load([url], wait=lambda _: None)


@pytest.mark.parametrize(
    ("places", "says"),
    [
        (["ftp://h/metrics"], "is no address"),
        (["http://"], "is no address"),
        (["http://h:port"], "is no address"),
        (["http://h/a b"], "is no address"),
        (["http://u:secret@h/metrics"], "takes no user and password"),
        (["http://h", "http://h"], "one address, which is scraped twice; it was given 2"),
        (["http://h", "file"], "two files of one server"),
        (["file"], "it was given 1"),
        (["a", "b", "c"], "it was given 3"),
        (["missing", "missing"], "cannot read missing"),
    ],
)
def test_what_cannot_be_meant_is_refused(places: list[str], says: str) -> None:
    with pytest.raises(UsageError, match=says) as caught:
        read_load(places, wait=lambda _: None)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), float("inf")])
def test_a_time_that_cannot_be_is_refused(files: tuple[str, str], seconds: float) -> None:
    with pytest.raises(UsageError, match=r"--scrape-seconds=.* must be a number above zero"):
        read_load(files, seconds)


def test_one_file_twice_is_the_same_scrape(files: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="the same scrape"):
        read_load([files[0], files[0]])


def test_files_in_the_wrong_order_are_told_apart_by_their_counters(files: tuple[str, str]) -> None:
    with pytest.raises(UsageError, match="give the earlier scrape first"):
        read_load(files[::-1])


def test_files_that_were_written_at_once_do_not_say_how_far_apart(files: tuple[str, str]) -> None:
    os.utime(files[1], (1_700_000_000, 1_700_000_000))
    with pytest.raises(UsageError, match="give --scrape-seconds"):
        read_load(files)
    assert isinstance(read_load(files, 5.0), ServedLoad)
