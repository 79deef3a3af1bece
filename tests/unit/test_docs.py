"""README and pages: links that lead somewhere, length, form, and their place on the site."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from autotune.cli import main
from autotune.schema.validation import MODES

ROOT = Path(__file__).parents[2]
DOCS = sorted((ROOT / "docs").glob("*.md"))
README = ROOT / "README.md"
OTHERS = [
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    ROOT / "SECURITY.md",
    ROOT / "mlruns" / "reference" / "README.md",
    ROOT / "recommender" / "surrogate" / "pretrained" / "MODEL_CARD.md",
    ROOT / "scripts" / "campaigns" / "README.md",
]
PAGES = [README, *OTHERS, *DOCS]
NO_LIMIT = ("accuracy.md", "reference-cli.md")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def prose_of(path: Path) -> str:
    return FENCE.sub("", text_of(path))


def anchors_of(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and MkDocs make them."""
    made = set()
    for heading in HEADING.findall(prose_of(path)):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        made.add(re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-"))
    return made


def commands_of(path: Path) -> Iterator[str]:
    """Every line of a page's blocks that calls the program, continued lines joined."""
    for _, body in FENCE.findall(text_of(path)):
        for line in body.replace("\\\n", " ").splitlines():
            called = re.match(r"(?:\$ )?autotune ([a-z]+)\b(.*)", line.partition("#")[0])
            if called and called[1] in main.commands:
                yield called[0]


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    for _, _, link in LINK.findall(prose_of(path)):
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        aim = (path.parent / target).resolve() if target else path
        assert aim.is_file(), link
        assert not anchor or anchor in anchors_of(aim), link


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_pictures_are_described(path: Path) -> None:
    for mark, description, link in LINK.findall(prose_of(path)):
        assert not mark or len(description.split()) >= 3, link


def test_the_readme_is_short() -> None:
    text = text_of(README)
    assert len(text) <= 8000
    assert len(text.split()) <= 900


@pytest.mark.parametrize("path", [p for p in DOCS if p.name not in NO_LIMIT], ids=name)
def test_a_page_is_short(path: Path) -> None:
    assert len(text_of(path).split()) <= 1200


@pytest.mark.parametrize("path", DOCS, ids=name)
def test_a_page_opens_with_a_command_and_its_output(path: Path) -> None:
    opening = r"# [^\n]+\n\n```(sh|python)\n.*?\n```\n\n```text\n.*?\n```\n"
    assert re.match(opening, text_of(path), re.DOTALL)


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_commands_have_the_options_they_are_given(path: Path) -> None:
    for line in commands_of(path):
        command = main.commands[line.removeprefix("$ ").split()[1]]
        known = {flag for parameter in command.params for flag in parameter.opts}
        assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", line)) <= {*known, "--help"}, line


@pytest.mark.parametrize("command", sorted(main.commands))
def test_every_command_of_the_program_is_told(command: str) -> None:
    pages = [README, *(path for path in DOCS if path.name != "reference-cli.md")]
    assert any(f"autotune {command}" in text_of(path) for path in pages)


def test_the_command_lines_page_is_fresh() -> None:
    script = ROOT / "scripts" / "build_cli_reference.py"
    done = subprocess.run(
        [sys.executable, str(script), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", PAGES, ids=name)
def test_scripts_that_are_named_are_there_and_can_be_run(path: Path) -> None:
    for named in set(re.findall(r"\bscripts/[\w./-]*\w(?![\w/])", text_of(path))):
        script = ROOT / named
        assert script.exists(), named
        if script.is_file() and script.suffix in ("", ".py"):
            assert os.access(script, os.X_OK), named


def test_every_page_has_its_place_on_the_site() -> None:
    site = yaml.safe_load(text_of(ROOT / "mkdocs.yml"))
    placed = list(_pages(site["nav"]))
    assert len(placed) == len(set(placed))
    beside = {"index.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
    assert set(placed) == beside | {path.name for path in DOCS}


def _pages(nav: list[dict[str, object]]) -> Iterator[str]:
    for entry in nav:
        for place in entry.values():
            if isinstance(place, str):
                yield place
            elif isinstance(place, list):
                yield from _pages(place)


def test_the_study_that_is_shown_has_every_mode() -> None:
    (study,) = re.findall(
        r"study\.yaml <<'END'\n(.*?)^END",
        text_of(ROOT / "docs/on-a-gpu.md"),
        re.DOTALL | re.MULTILINE,
    )
    assert {workload["mode"] for workload in yaml.safe_load(study)["workloads"]} == set(MODES)
