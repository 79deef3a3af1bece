"""A Hugging Face Hub on this machine: what clients ask of a model's files, and what it says."""

import contextlib
import hashlib
import json
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class FakeHub:
    """What it holds, and how it was asked.

    Attributes:
        files: "ORG/NAME" -> file -> content; text is sent as it is.
        closed: "ORG/NAME" -> (status, error code) of a repository that it does not show.
        strange: "ORG/NAME" -> how it answers instead: html, loop or silence.
        asked: (method, path) of every request.
        tokens: The authorization of every request, where there was one.
    """

    endpoint: str = ""
    files: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    closed: dict[str, tuple[int, str]] = field(default_factory=dict)
    strange: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str]] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class _Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        hub.asked.append((self.command, self.path))
        if token := self.headers.get("Authorization"):
            hub.tokens.append(token)
        name, _, file = self.path.lstrip("/").partition("/resolve/main/")
        if name in hub.strange:
            self._strange(hub.strange[name])
        elif name in hub.closed or name not in hub.files:
            status, code = hub.closed.get(name, (404, "RepoNotFound"))
            self._send(status, "", {"X-Error-Code": code})
        elif file not in hub.files[name]:
            self._send(404, "", {"X-Error-Code": "EntryNotFound", "X-Repo-Commit": COMMIT})
        else:
            content = hub.files[name][file]
            text = content if isinstance(content, str) else json.dumps(content)
            etag = hashlib.sha1(text.encode()).hexdigest()
            self._send(200, text, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})

    def _strange(self, how: str) -> None:
        if how == "silence":
            self.server.hub.ended.wait(60)
        elif how == "loop":
            self._send(302, "", {"Location": self.path})
        else:
            self._send(200, "<html>Log in</html>", {"Content-Type": "text/html"})

    def _send(self, status: int, text: str, headers: Mapping[str, str]) -> None:
        body = text.encode()
        self.send_response(status)
        for key, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, hub: FakeHub) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.hub = hub
        hub.endpoint = f"http://127.0.0.1:{self.server_port}"


@contextlib.contextmanager
def fake_hub() -> Iterator[FakeHub]:
    """Serve one meanwhile, on a port that is free."""
    hub = FakeHub()
    with _Server(hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            hub.ended.set()
            server.shutdown()
            thread.join()
