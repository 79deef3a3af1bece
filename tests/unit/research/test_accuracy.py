"""The accuracy pages: blocks written from results, and pages that say something else found out."""

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from research.accuracy import command, summaries
from research.accuracy.blocks import names_of, outside, rendered
from research.accuracy.own_runs import confirmed, replicas
from research.accuracy.pages import PAGES, RENDERERS, render, stale
from research.accuracy.parts import LEDGER, PARTS
from research.accuracy.results import RESULTS, AccuracyError, Figures, Made, Results
from research.accuracy.wording import number, paragraph, percent, spread, table

MADE = Made(
    command="autotune evaluate", date="2026-11-27", commit="abc1234", data=None, seconds=2.0
)
RESULT = Results({}).replaced("cells", MADE, {"ape_median": 0.0361, "landscapes": 12})
RENDER = {
    "error": lambda results: percent(results.figures("cells")["ape_median"]),
    "table": lambda results: table(["n"], [[str(results.figures("cells")["landscapes"])]]),
}
PAGE = """Off by <!--accuracy:error-->9.9 %<!--/accuracy:error--> in the median.

<!--accuracy:table-->

<!--/accuracy:table-->

The rest.
"""


def test_blocks_are_written_and_the_rest_stays() -> None:
    made = rendered(PAGE, RENDER, RESULT)
    assert "Off by <!--accuracy:error-->3.6 %<!--/accuracy:error--> in the median." in made
    assert "<!--accuracy:table-->\n\n| n |\n|---|\n| 12 |\n\n<!--/accuracy:table-->\n\nThe" in made
    assert rendered(made, RENDER, RESULT) == made
    assert outside(made) == outside(PAGE)


@pytest.mark.parametrize(
    ("page", "says"),
    [
        ("<!--accuracy:other--><!--/accuracy:other-->", "nothing renders the block 'other'"),
        ("<!--accuracy:error-->", "'error' is not closed"),
        ("<!--/accuracy:error-->", "'error' is not opened"),
        ("<!--accuracy:error--><!--accuracy:table-->", "'table' is not opened and closed in turn"),
    ],
)
def test_a_block_that_is_unknown_or_open_is_named(page: str, says: str) -> None:
    with pytest.raises(AccuracyError, match=says):
        rendered(page, RENDER, RESULT)


def test_a_figure_that_is_not_there_is_named() -> None:
    with pytest.raises(AccuracyError, match="no results of cells: `scripts/accuracy cells`"):
        rendered(PAGE, RENDER, Results({}))
    with pytest.raises(AccuracyError, match=r"lack a figure of 'error': KeyError\('ape_median'\)"):
        rendered(PAGE, RENDER, Results({}).replaced("cells", MADE, {}))


def test_a_block_that_no_page_has_is_named(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(PAGE, encoding="utf-8")
    with pytest.raises(AccuracyError, match="no page has the block gone"):
        render(RESULT, [page], {**RENDER, "gone": lambda _: ""})


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A page of its own, with results of its own, for the command to work on."""
    path, results = tmp_path / "page.md", tmp_path / "accuracy.json"
    path.write_text(PAGE, encoding="utf-8")
    RESULT.save(results)
    monkeypatch.setattr(command, "PAGES", (path,))
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "RESULTS", results)
    monkeypatch.setattr(command, "render", lambda r, pages: render(r, pages, RENDER))
    return path


def test_check_fails_on_a_changed_figure(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([]) == 0
    assert command.main(["--check"]) == 0
    page.write_text(page.read_text(encoding="utf-8").replace("3.6 %", "3.5 %"), encoding="utf-8")
    assert command.main(["--check"]) == 1
    assert "page.md is stale" in capsys.readouterr().err
    assert "3.5 %" in page.read_text(encoding="utf-8")
    assert command.main([]) == 0
    assert "3.6 %" in page.read_text(encoding="utf-8")


def test_a_part_is_taken_from_a_file_and_the_page_follows(page: Path, tmp_path: Path) -> None:
    printed = tmp_path / "cells.txt"
    printed.write_text("a: 1\nlandscapes=7 ape_median=0.0512\n", encoding="utf-8")
    assert command.main(["--from", f"cells={printed}", "--commit", "def5678"]) == 0
    assert "5.1 %" in page.read_text(encoding="utf-8")
    stored = Results.load(tmp_path / "accuracy.json")
    assert stored.made()["cells"].commit == "def5678"
    assert stored.made()["cells"].command == PARTS["cells"].command


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["cells"], "cells needs --data"),
        (["celery"], "unknown part 'celery'"),
        (["--check", "energy"], "--check makes nothing"),
    ],
)
def test_what_cannot_be_made_is_a_usage_error(
    arguments: list[str], says: str, page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        command.main(arguments)
    assert says in capsys.readouterr().err


def test_a_file_that_cannot_be_read_is_named(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command.main(["--from", "migration=gone.json"]) == 1
    assert "cannot read gone.json" in capsys.readouterr().err


def test_the_pages_say_what_the_results_say() -> None:
    assert stale(render(Results.load(RESULTS))) == []


def test_the_page_lists_the_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--list"]) == 0
    assert f"```text\n{capsys.readouterr().out}```" in PAGES[1].read_text(encoding="utf-8")


def test_no_figure_of_accuracy_stands_between_the_blocks() -> None:
    told = {"2 %", "90 %", "100 %"}  # a tolerance, a nominal coverage, a failure
    text = outside(PAGES[1].read_text(encoding="utf-8"))
    assert set(_percents(text)) <= told
    assert names_of(PAGES[1].read_text(encoding="utf-8")) <= set(RENDERERS)


def _percents(text: str) -> list[str]:
    words = text.split()
    return [f"{n} %" for n, sign in itertools.pairwise(words) if sign.startswith("%")]


def test_what_is_kept_of_an_evaluation() -> None:
    row = {"protocol": "migration", "engine": "vllm", "source_gpu": "A", "target_gpu": "B",
           "method": "ours", "runs": 1, "groups": 3, "regret_mean": 0.1, "regret_median": 0.0,
           "regret_next_mean": 0.1, "regret_max": 0.2, "ape_median": 0.05, "coverage90": 0.9,
           "regret_bound90_median": 0.2, "bound_coverage": 1.0, "interval_factor": 1.5,
           "failed_choice_rate": 0.0}  # fmt: skip
    rows = [row, {**row, "groups": 1, "bound_coverage": 0.0},
            {**row, "method": "keep", "bound_coverage": None},
            {**row, "method": "random", "runs": 3, "bound_coverage": None}]  # fmt: skip
    kept = summaries.evaluation(rows)
    assert kept["certificate"] == {"1": {"landscapes": 4, "held": 0.75}}
    assert [item["method"] for item in kept["rows"]] == ["ours", "ours", "keep"]
    assert "regret_median" not in kept["rows"][0]


def test_the_committed_ledger_is_what_the_results_hold() -> None:
    document = json.loads((LEDGER / "ledger.json").read_text(encoding="utf-8"))
    results = Results.load(RESULTS)
    assert summaries.reference_ledger(document) == results.figures("ledger")
    with pytest.raises(AccuracyError, match="--leave-one-out"):
        summaries.reference_ledger({**document, "leave_one_model_out": []})
    text = (LEDGER / "aiconfigurator.md").read_text(encoding="utf-8")
    assert summaries.aiconfigurator(text) == results.figures("aiconfigurator")


@pytest.mark.parametrize("make", [confirmed, replicas])
def test_what_comes_of_the_own_runs_is_what_is_committed(
    make: Callable[[Path], Figures], tmp_path: Path
) -> None:
    name = make.__name__
    assert make(tmp_path / "made.md") == Results.load(RESULTS).figures(name)
    committed = (LEDGER / f"{name}.md").read_text(encoding="utf-8")
    assert (tmp_path / "made.md").read_text(encoding="utf-8") == committed


def test_figures_are_written_alike() -> None:
    assert (percent(0.0072), percent(-0.0001), percent(None)) == ("0.7 %", "0.0 %", "-")
    assert (number(1234.5, 0), number(-6.64)) == ("1,234", "-6.6")
    assert (spread([0.101, 0.106], 0), spread([0.1, 0.1], 0)) == ("10 to 11 %", "10 %")
    lines = paragraph(f"{'x' * 96} 12 %, `a b`.", indent="-").splitlines()
    assert lines == ["- " + "x" * 96, "  12 %, `a b`."]


def test_results_are_stored_part_by_part(tmp_path: Path) -> None:
    path = tmp_path / "accuracy.json"
    RESULT.save(path)
    Results.load(path).replaced("a", MADE, {"rows": [{"n": 1}, {"n": 2}]}).save(path)
    assert list(Results.load(path).parts) == ["a", "cells"]
    assert Results.load(path).figures("cells") == RESULT.figures("cells")
    assert '   {"n": 1},\n' in path.read_text(encoding="utf-8")
