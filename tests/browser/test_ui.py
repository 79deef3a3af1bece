"""What people see in MLflow's pages after the demo, in a real browser."""

import contextlib
import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run
from playwright.sync_api import Browser, BrowserContext, Page, TimeoutError, expect

from autotune.store.tracking.layout import KIND
from autotune.store.tracking.store import EXPERIMENT
from recommender.training.registry import MODEL_NAME
from tests.support.workspace import Ran, Workspace

Keep = Callable[[str], None]
MACHINE_LEARNING = "workflowType=machine_learning"


@pytest.fixture(scope="module")
def client(demo: tuple[Workspace, Ran]) -> MlflowClient:
    return MlflowClient(demo[0].uri)


@pytest.fixture(scope="module")
def experiment(client: MlflowClient) -> str:
    found = client.get_experiment_by_name(EXPERIMENT)
    assert found is not None
    return str(found.experiment_id)


@pytest.fixture
def runs(client: MlflowClient, experiment: str) -> Callable[[str], list[Run]]:
    return lambda kind: list(client.search_runs([experiment], f"tags.`{KIND}` = '{kind}'"))


@pytest.fixture(scope="module")
def visitor(browser: Browser, pages: list[str]) -> Iterator[BrowserContext]:
    """Somebody who has been here before and has closed the assistant that MLflow shows beside."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000})
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.goto(pages[0])
    expect(page.get_by_role("columnheader").first).to_be_visible()
    with contextlib.suppress(TimeoutError):
        page.get_by_role("button", name="Close", exact=True).first.click(timeout=5_000)
    page.close()
    yield context
    context.close()


@pytest.fixture
def page(visitor: BrowserContext) -> Iterator[Page]:
    page = visitor.new_page()
    yield page
    page.close()


@pytest.fixture
def go(page: Page, pages: list[str]) -> Callable[[str], None]:
    """Opens a place of the pages anew: another fragment alone would not load them again."""
    root = pages[0].partition("#")[0]

    def open_page(place: str) -> None:
        page.goto("about:blank")
        page.goto(f"{root}#{place}")

    return open_page


def test_the_first_address_shows_the_fastest_configurations_and_their_charts(
    page: Page, pages: list[str], go: Callable[[str], None], keep: Keep
) -> None:
    assert len(pages) == 5
    go(pages[0].partition("#")[2])
    for column in ("output_throughput", "mean_ttft_ms", "batch_size", "engine"):
        expect(page.get_by_role("columnheader", name=column).first).to_be_attached()
    expect(page.get_by_text("13 matching runs")).to_be_visible()
    keep("ui-configurations")
    go(pages[0].partition("#")[2] + "&compareRunsMode=CHART")
    expect(page.get_by_text("batch_size vs. output_throughput")).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    keep("ui-charts")


def test_the_study_is_a_tree_whose_children_open(
    page: Page,
    go: Callable[[str], None],
    experiment: str,
    runs: Callable[[str], list[Run]],
    keep: Keep,
) -> None:
    [study] = runs("study")
    go(f"/experiments/{experiment}/runs?{MACHINE_LEARNING}")
    row = page.get_by_role("row").filter(has_text="· study ·")
    expect(row.first).to_be_visible()
    row.locator("button").first.click()
    child = page.get_by_role("link", name=re.compile(r"· bs 16$"))
    expect(child.first).to_be_visible()
    keep("ui-study-tree")
    child.first.click()
    expect(page.get_by_role("heading", name=re.compile("· bs 16"))).to_be_visible()
    expect(page.get_by_text("output_throughput").first).to_be_visible()
    expect(page.get_by_text(str(study.info.run_name)).first).to_be_visible()
    keep("ui-child")


def test_the_studys_description_shows_its_picture_and_its_artifacts_the_report(
    page: Page,
    go: Callable[[str], None],
    experiment: str,
    runs: Callable[[str], list[Run]],
    keep: Keep,
) -> None:
    [study] = runs("study")
    place = f"/experiments/{experiment}/runs/{study.info.run_id}"
    go(f"{place}?{MACHINE_LEARNING}")
    page.get_by_text("Show more").first.click()
    picture = page.locator("img[src*='report/landscape.png']")
    expect(picture).to_be_visible()
    assert picture.evaluate("image => image.naturalWidth") > 300
    keep("ui-study")
    go(f"{place}/artifacts/report/landscape.png?{MACHINE_LEARNING}")
    expect(page.locator("img[src*='get-artifact'], img[src^='blob:']").first).to_be_visible()
    keep("ui-artifact")
    go(f"{place}/artifacts/report/report.html?{MACHINE_LEARNING}")
    inside = page.frame_locator("iframe").first
    expect(inside.get_by_role("heading", level=1)).to_contain_text("study")
    expect(inside.get_by_role("heading", name="How to deploy it")).to_be_attached()
    keep("ui-report")


def test_two_children_are_compared_with_numbers_as_numbers(
    page: Page,
    go: Callable[[str], None],
    experiment: str,
    runs: Callable[[str], list[Run]],
    keep: Keep,
) -> None:
    children = runs("configuration")[:2]
    ids = quote(json.dumps([child.info.run_id for child in children]))
    of = quote(json.dumps([experiment]))
    go(f"/compare-runs?runs={ids}&experiments={of}&{MACHINE_LEARNING}")
    expect(page.get_by_text("Comparing 2 Runs").first).to_be_visible()
    expect(page.get_by_text("batch_size").first).to_be_visible()
    expect(page.get_by_text("output_throughput").first).to_be_visible()
    expect(page.locator(".js-plotly-plot").first).to_be_visible()
    keep("ui-compare")


def test_a_recommendation_and_its_confirmation_lead_to_each_other(
    page: Page,
    go: Callable[[str], None],
    experiment: str,
    runs: Callable[[str], list[Run]],
    keep: Keep,
) -> None:
    [confirmation] = runs("confirmation")
    above = confirmation.data.tags["mlflow.parentRunId"]
    go(f"/experiments/{experiment}/runs/{above}?{MACHINE_LEARNING}")
    keep("ui-recommendation")
    with page.expect_popup() as opened:
        page.get_by_role("link", name="Confirmed", exact=True).click()
    below = opened.value
    expect(below.get_by_role("heading", name=re.compile("· confirmation ·"))).to_be_visible()
    expect(below.get_by_text("Winner after 3 runs").first).to_be_visible()
    with below.expect_popup() as opened:
        below.get_by_role("link", name="recommendation", exact=True).click()
    heading = opened.value.get_by_role("heading", name=re.compile("· recommendation ·"))
    expect(heading).to_be_visible()
    opened.value.close()
    below.close()


def test_the_champion_is_registered_with_its_notes_and_its_inputs(
    page: Page, go: Callable[[str], None], client: MlflowClient, keep: Keep
) -> None:
    go(f"/models/{MODEL_NAME}?{MACHINE_LEARNING}")
    expect(page.get_by_text("champion").first).to_be_visible()
    keep("ui-model")
    version = client.get_model_version_by_alias(MODEL_NAME, "champion").version
    go(f"/models/{MODEL_NAME}/versions/{version}?{MACHINE_LEARNING}")
    expect(page.get_by_text("Challenger against champion").first).to_be_visible()
    keep("ui-model-version")
