"""A real browser, and MLflow's pages on the demo's store."""

import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.support.workspace import AUTOTUNE, Ran, Workspace

ARTIFACTS = Path(__file__).parents[1] / "artifacts"
expect.set_options(timeout=60_000)
_NAMES = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("no chromium here; Debian: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1500, "height": 1000})
    page.set_default_timeout(60_000)
    yield page
    page.close()


@pytest.fixture
def keep(page: Page, request: pytest.FixtureRequest) -> Iterator[Callable[[str], None]]:
    """Keeps a screenshot under the name given, and one of how every test ended."""
    ARTIFACTS.mkdir(exist_ok=True)

    def shoot(name: str) -> None:
        page.screenshot(path=ARTIFACTS / f"{name}.png")

    yield shoot
    shoot(f"end-{request.node.name}")


@pytest.fixture(scope="session")
def pages(
    demo: tuple[Workspace, Ran], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[list[str]]:
    """The addresses that `autotune ui` tells, once it answers: the first is the configurations'."""
    workspace, ran = demo
    assert ran.code == 0, ran.err
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("ui") / "ui.log"
    with log.open("w") as file:
        server = subprocess.Popen(
            [str(AUTOTUNE), "ui", "--port", str(port)],
            cwd=workspace.folder,
            stdout=file,
            stderr=file,
        )
        try:
            _wait_for(f"http://127.0.0.1:{port}/", server)
            yield re.findall(r"http://127\S+#\S+", log.read_text())
        finally:
            server.terminate()
            server.wait(timeout=30)


def _wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"nothing answers at {url}")
