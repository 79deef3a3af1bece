"""Documents: one HTML file or Markdown with pictures; what others wrote is shown, not obeyed."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.views.charts.landscape import points_of, speed_lines
from autotune.views.pages.document import Document, Figure, code, inline, section, table
from autotune.views.pages.html import markdown, render_fragment, render_html
from autotune.views.pages.writing import write_document
from tests.support.records import record

CHART = speed_lines(points_of([record(), record(batch_size=16)]), title="Speed <b>")
DOCUMENT = Document(
    title="A & B",
    blocks=(
        "First words.",
        *section("What was asked", table(("a", "b"), [("1", "2")], numbers=(1,))),
        *section("Why", Figure(name="speed", chart=CHART)),
        *section("Nothing"),
    ),
)
TEXT = st.text(st.characters(exclude_categories=("C",)), min_size=1, max_size=60)


class Reader(HTMLParser):
    """Notes tags and words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@given(TEXT)
def test_a_foreign_text_in_a_cell_stays_the_text_that_it_is(text: str) -> None:
    reader = Reader()
    reader.feed(markdown(table(("name", "value"), [("x", inline(text))])))
    assert set(reader.tags) <= {"div", "table", "thead", "tbody", "tr", "th", "td", "p"}
    shown = "".join(reader.words)
    assert re.sub(r"\s+", "", text) in re.sub(r"\s+", "", shown)


@given(TEXT)
def test_code_is_never_left_by_what_it_holds(text: str) -> None:
    reader = Reader()
    reader.feed(markdown(code(f"{text}\n```\n<script>", "sh")))
    assert reader.tags == ["pre", "code"]


def test_the_page_has_its_parts() -> None:
    page = render_html(DOCUMENT)
    assert "<title>A &amp; B</title>" in page
    assert page.count("<h1>") == 1
    assert re.findall(r'<h2 id="([a-z-]+)">', page) == ["what-was-asked", "why"]
    assert '<a href="#why">Why</a>' in page
    assert '<th scope="col">a</th>' in page
    assert f'alt="{html.escape(CHART.alt)}"' in page
    assert 'type="application/gzip"' in page
    assert "Speed <b>" not in page.partition("application/json")[0]


def test_a_static_page_has_no_script() -> None:
    page = render_html(DOCUMENT, is_live=False)
    assert "<script" not in page
    assert "data:image/png;base64," in page


def test_a_fragment_has_no_page_around_it() -> None:
    fragment = render_fragment(DOCUMENT)
    assert "<html" not in fragment
    assert "<script" not in fragment
    assert "<figure" in fragment


@pytest.mark.parametrize(
    ("output", "files"),
    [
        ("x/a.html", ["a.html"]),
        ("x/a.md", ["a.md", "a-speed.png"]),
        ("x/folder", ["report.html", "report.md", "speed.png"]),
    ],
)
def test_the_output_decides_the_files(tmp_path: Path, output: str, files: list[str]) -> None:
    written = write_document(DOCUMENT, tmp_path / output, is_live=False)
    assert [path.name for path in written.files] == files
    assert all(path.stat().st_size > 0 for path in written.files)
    if written.markdown is not None:
        text = written.markdown.read_text(encoding="utf-8")
        assert text.startswith("# A & B\n")
        for target in re.findall(r"\]\(([^)]+)\)", text):
            assert written.markdown.with_name(target).is_file()
