"""A real browser."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

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
