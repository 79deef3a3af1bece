"""What a command prints can be read at any width: a table drops columns, and no value is cut."""

import json
import re

import pytest

from autotune.schema.codec import to_json_line
from tests.support.lightly import Bench
from tests.support.records import record
from tests.support.workspace import Workspace

STYLE = re.compile(r"\x1b\[[0-9;]*m")
WIDTHS = (60, 80, 120, 200)
ASKED = ("--model", "meta-llama/Llama-3.1-8B", "--target-gpu", "H100")
COMMANDS = {
    "gpus": ("gpus",),
    "models": ("models",),
    "doctor": ("doctor",),
    "preview": ("run", "study.yaml", "--dry-run"),
    "recommend": (
        *("recommend", *ASKED, "--source-gpu", "A100", "--engine", "all"),
        *("--price", "H100=2.9", "--price", "A100=1.8", "--max-tpot-ms", "40"),
    ),
    "explain": ("explain", "asked.json"),
    "confirm": ("confirm", "asked.json", "--replay", "target.jsonl"),
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A folder with a study, a recommendation, and runs to confirm it by."""
    folder = tmp_path_factory.mktemp("widths")
    Bench(folder).prepare()
    workspace = Workspace(folder)
    asked = workspace.here("recommend", *ASKED, "--source-gpu", "A100", "--max-gpus", "1", "--json")
    (folder / "asked.json").write_text(asked.out, encoding="utf-8")
    runs = [
        record(gpu="H100-80GB", batch_size=2**k, output_throughput=60.0 * 1.8**k) for k in range(9)
    ]
    (folder / "target.jsonl").write_text("".join(to_json_line(run) + "\n" for run in runs))
    return workspace


def printed(shop: Workspace, name: str, width: int) -> str:
    """Return what a command prints on a terminal of so many columns."""
    environment = {"TTY_COMPATIBLE": "1", "TERM": "xterm", "COLUMNS": str(width)}
    ran = shop.here(*COMMANDS[name], **environment)
    assert ran.code in (0, 1), ran.err
    return STYLE.sub("", ran.out)


def table_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith(tuple("┏┃┡│├└"))]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", COMMANDS)
def test_no_value_of_a_table_is_cut(shop: Workspace, name: str, width: int) -> None:
    out = printed(shop, name, width)
    assert "…" not in out
    # Where not even the columns that stay have room, a row is a list of its values.
    for line in table_lines(out):
        assert len(line) <= width, line
        assert "..." not in line
        # Every row has a cell for each column of its head.
        assert line[-1] in "┓┃┩│┤┘", line
    assert table_lines(out) or width < 100


@pytest.mark.parametrize("width", WIDTHS)
def test_the_answer_comes_first_and_whole(shop: Workspace, width: int) -> None:
    out = printed(shop, "recommend", width)
    made = json.loads(shop.here(*COMMANDS["recommend"], "--json").out)
    best = made["best"]
    head = " ".join(out.partition("┏")[0].split())
    for value in (best["output_throughput"], best["total_output_throughput"], best["total_low"]):
        assert f"{value:,.0f}" in head
    for choice in made["frontier"]:
        assert f"{choice['total_output_throughput']:,.0f}" in out
    assert out.partition("What else would pay")[0].count("\n- ") <= 5
    assert f"Deploy:  {best['command']}\n" in out


def test_a_pipe_gets_every_column(shop: Workspace) -> None:
    out = shop.here(*COMMANDS["recommend"]).out
    for column in ("engine", "replicas", "90 % interval", "tok/s/user", "TTFT ms", "fits"):
        assert column in out
    assert "…" not in out
