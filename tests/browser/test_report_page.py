"""The report as a page: with a script and without, and for those who do not see it."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from autotune.schema.codec import to_json_line
from recommender.api import recommend
from recommender.commands.confirm import confirm_by_replay
from recommender.commands.report import report
from tests.support.records import record

Keep = Callable[[str], None]


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of a recommendation that was confirmed by recorded runs, one of them failed."""
    folder = tmp_path_factory.mktemp("report")
    uri = f"sqlite:///{folder}/mlruns/mlflow.db"
    made = recommend(
        "meta-llama/Llama-3.1-8B",
        "H200",
        source_gpu="A100-80GB",
        max_gpus=4,
        max_batch_size=256,
        prices={"H200": 4, "A100-80GB": 1.8},
        tracking_uri=uri,
    )
    rows = [
        record(
            n_gpus=n,
            batch_size=2**k,
            output_throughput=170.0 * 2**k * n**0.7 / (1 + 2**k / 60),
            session_id=None,
        )
        for n in (1, 2, 4)
        for k in range(9)
    ]
    runs = folder / "runs.jsonl"
    runs.write_text("".join(to_json_line(row) + "\n" for row in rows))
    confirm_by_replay(made.recommendation_id, runs, uri)
    return report(made.recommendation_id, uri, folder / "report.html").files[0]


def test_it_asks_no_other_file(file: Path, page: Page, keep: Keep) -> None:
    asked: list[str] = []
    problems: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.goto(file.as_uri())
    expect(page.locator("details.live").first).to_be_visible()
    keep("report")
    assert [url for url in asked if not url.startswith(("data:", "blob:"))] == [file.as_uri()]
    assert problems == []


def test_each_chart_opens_as_an_interactive_one(file: Path, page: Page, keep: Keep) -> None:
    page.goto(file.as_uri())
    charts = page.locator("details.live")
    expect(charts.first).to_be_visible()
    assert charts.count() >= 6
    for chart in charts.all():
        chart.locator("summary").click()
        expect(chart.locator(".main-svg").first).to_be_visible()
    keep("report-interactive")


def test_without_a_script_tables_and_pictures_are_all_there(file: Path, browser: Browser) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(file.as_uri())
    expect(page.get_by_role("heading", level=1)).to_contain_text("Llama-3.1-8B on H200")
    for name in ("What was asked", "The answer", "Why", "Proof", "How to deploy it",
                 "How to repeat it", "Environment"):  # fmt: skip
        expect(page.get_by_role("heading", level=2, name=name)).to_be_visible()
    for picture in page.locator("figure img").all():
        expect(picture).to_be_visible()
        expect(picture).to_have_attribute("alt", re.compile(r"\w+ \w+"))
    expect(page.get_by_role("table")).not_to_have_count(0)
    expect(page.locator("details.live").first).to_be_hidden()
    context.close()


@pytest.mark.parametrize("width", [1280, 800, 390])
def test_at_any_width_what_is_too_wide_scrolls_by_itself(
    width: int, file: Path, page: Page, keep: Keep
) -> None:
    page.set_viewport_size({"width": width, "height": 900})
    page.goto(file.as_uri())
    expect(page.locator("details.live").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for table in page.locator("table").all():
        assert table.evaluate("t => getComputedStyle(t.parentElement).overflowX") == "auto"
    keep(f"report-{width}")


def test_nothing_is_said_twice_and_no_interval_has_no_width(file: Path, page: Page) -> None:
    page.goto(file.as_uri())
    texts = [text for text in page.locator("p, li").all_inner_texts() if len(text.split()) > 4]
    assert len(texts) == len(set(texts))
    cells = page.locator("td").all_inner_texts()
    intervals = [cell.split(" - ") for cell in cells if re.fullmatch(r"[\d,.]+ - [\d,.]+", cell)]
    assert intervals
    assert all(low != high for low, high in intervals)


def test_axe_finds_no_barrier(file: Path, page: Page) -> None:
    page.goto(file.as_uri())
    expect(page.locator("details.live").first).to_be_visible()
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
