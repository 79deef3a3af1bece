"""Every command of the README and the pages runs as written, in order, in one folder.

The folder is as a clone's: it has the reference runs and the scripts. A page's commands may go on
from what those of the pages named in `NEEDS` left.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.integration.conftest import AUTOTUNE
from tests.support.lightly import light_environment
from tests.support.workspace import clean_environment

ROOT = Path(__file__).parents[2]
PAGES = ("README", "CONTRIBUTING", *sorted(path.stem for path in (ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NEEDS: Mapping[str, tuple[str, ...]] = {
    "import": ("measure",),
    "train": ("import",),
    "how-it-works": ("recommend",),
    "report-and-ui": ("confirm",),
    "reliability": ("measure",),
    "fleet-and-server": ("measure",),
    "python-api": ("measure",),
}
# What these pages' commands cannot do without; the others ask and read.
PACKAGES = {"measure": "transformers", "fleet-and-server": "ray"}
# Pages whose studies need no engine of their own: the commands of `measure` start the real one.
LIGHT_PAGES = frozenset({"fleet-and-server", "python-api", "reliability"})
# Beginnings of commands that are not run here, and why.
NOT_RUN = {
    "./scripts/quickstart": "setup, `autotune demo` and the README's question, each run by a test",
    "./scripts/test": "these tests",
    "./scripts/check": "these tests and what CI runs before them",
    "./scripts/setup": "installs what is being tested",
    "export PATH=": "the tests set it",
    "python -m pytest": "these tests",
}


def blocks(page: str) -> list[tuple[str, str]]:
    """Return what a page has to run, as (language, text), without what is not run here."""
    folder = ROOT if page.isupper() else ROOT / "docs"
    text = (folder / f"{page}.md").read_text(encoding="utf-8")
    found = []
    for language, body in BLOCK.findall(text):
        kept = [line for line in body.splitlines() if not line.startswith(tuple(NOT_RUN))]
        if kept:
            found.append((language, "\n".join(kept)))
    return found


class Clone:
    """A folder as a clone's, in which pages are worked through once each."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: set[str] = set()
        shutil.copytree(ROOT / "mlruns" / "reference", folder / "mlruns" / "reference")
        (folder / "scripts").symlink_to(ROOT / "scripts")

    def work_through(self, page: str) -> None:
        for needed in NEEDS.get(page, ()):
            self.work_through(needed)
        if page not in self._done:
            self._done.add(page)
            for language, text in blocks(page):
                self._run(language, text, is_light=page in LIGHT_PAGES)

    def _run(self, language: str, text: str, *, is_light: bool) -> None:
        known = light_environment() if is_light else clean_environment()
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", text]
            if language == "sh"
            else ["python", "-c", text],
            cwd=self.folder,
            env={**known, "PATH": f"{AUTOTUNE.parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Clone:
    return Clone(tmp_path_factory.mktemp("clone"))


def packages(page: str) -> set[str]:
    own = {PACKAGES[page]} if page in PACKAGES else set()
    return own.union(*(packages(needed) for needed in NEEDS.get(page, ())))


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page)])
def test_every_command_runs(clone: Clone, page: str) -> None:
    for package in packages(page):
        if importlib.util.find_spec(package) is None:
            pytest.skip(f"the commands of {page}.md need {package}")
    clone.work_through(page)


def test_what_is_not_run_is_still_there() -> None:
    texts = [(ROOT / f"{page}.md").read_text(encoding="utf-8") for page in PAGES if page.isupper()]
    texts += [path.read_text(encoding="utf-8") for path in (ROOT / "docs").glob("*.md")]
    lines = {line for text in texts for line in text.splitlines()}
    for beginning in NOT_RUN:
        assert any(line.startswith(beginning) for line in lines), beginning
