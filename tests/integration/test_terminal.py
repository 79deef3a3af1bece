"""The command line on a terminal and off it: colours, hints, completion, JSON."""

import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.workspace import AUTOTUNE, Workspace

COLOR = re.compile(r"\x1b\[[0-9;]*3[0-9][0-9;]*m")
ASK = ("recommend", "--model", "meta-llama/Llama-3.1-8B", "--target-gpu", "H100")


def on_a_terminal(folder: Path, *arguments: str, **environment: str) -> str:
    """Run a command with a terminal as its output, and return everything it wrote there."""
    main, side = pty.openpty()
    known = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "MLFLOW_TRACKING_URI")}
    process = subprocess.Popen(
        [str(AUTOTUNE), *arguments],
        stdout=side,
        stderr=side,
        cwd=folder,
        env={**known, "TERM": "xterm-256color", "COLUMNS": "150", **environment},
    )
    os.close(side)
    written = b""
    while True:
        try:
            part = os.read(main, 65536)
        except OSError:  # the other side was closed
            break
        if not part:
            break
        written += part
    os.close(main)
    process.wait()
    return written.decode()


def test_colours_follow_no_color_and_pipes(workspace: Workspace) -> None:
    assert COLOR.search(on_a_terminal(workspace.folder, "doctor"))
    assert not COLOR.search(on_a_terminal(workspace.folder, "doctor", NO_COLOR="1"))
    assert "\x1b" not in workspace("doctor").out


def test_somebody_new_is_told_how_to_begin(workspace: Workspace) -> None:
    assert "First time here?" in on_a_terminal(workspace.folder, *ASK)
    piped = workspace(*ASK)
    assert "First time here?" not in piped.out + piped.err
    assert piped.err == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["recommend", "--target-gpu", "h100"], "H100-80GB"),
        (["recommend", "--model", "llama-3.1-8b"], "meta-llama/Llama-3.1-8B"),
        (["rec"], "recommend"),
        (["run", "--batch"], "--batch-sizes"),
    ],
)
def test_the_shell_completes(workspace: Workspace, words: list[str], expected: str) -> None:
    ran = workspace.here(
        _AUTOTUNE_COMPLETE="bash_complete",
        COMP_WORDS=" ".join(["autotune", *words]),
        COMP_CWORD=str(len(words)),
    )
    assert f"plain,{expected}" in ran.out.splitlines()


def test_the_shell_completes_what_the_store_has_an_id_for(workspace: Workspace) -> None:
    made = workspace.here(*ASK, "--json").json()["recommendation_id"]
    ran = workspace(
        _AUTOTUNE_COMPLETE="bash_complete", COMP_WORDS="autotune report ", COMP_CWORD="2"
    )
    assert f"plain,{made}" in ran.out.splitlines()


def test_results_are_json_everywhere(
    workspace: Workspace, new_store: Callable[[Path], str]
) -> None:
    new_store(workspace.folder)
    built = workspace.here("demo", "--model-only", "demo-model", "--json")
    assert built.json() == {"model": "demo-model"}
    assert workspace.here("export", "runs.jsonl", "--json").json() == {
        "runs": 0,
        "output": "runs.jsonl",
    }
    assert {check["name"] for check in workspace.here("doctor", "--json").json()} >= {
        "Python",
        "store",
    }


def test_an_option_that_is_almost_right_is_named(workspace: Workspace) -> None:
    ran = workspace("recommend", "--modle", "x")
    assert ran.code == 2
    assert "--model" in ran.err
