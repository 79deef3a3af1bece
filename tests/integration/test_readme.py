"""Every command of the README runs as written, in order, in one folder."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from autotune.schema.loading import study_from_dict
from autotune.schema.vocabulary import MODES
from tests.integration.conftest import AUTOTUNE, Workspace

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
# The two set-up commands install what is being tested; `quickstart` is `setup`, `demo` and the
# README's first command, each of which a test runs.
SCRIPTS = ("./scripts/quickstart", "./scripts/test")


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line.split("  #")[0].strip() for line in lines if line.strip()]


@pytest.mark.slow
def test_every_command_runs(demo: tuple[Workspace, object], tmp_path: Path) -> None:
    path = f"{AUTOTUNE.parent}:{os.environ['PATH']}"
    ran = [line for line in commands() if not line.startswith(SCRIPTS)]
    assert len(ran) >= 15
    for line in ran:
        done = subprocess.run(
            ["bash", "-euc", line],
            cwd=tmp_path,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", program + "print(repr(proof))"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Winner after" in done.stdout


def test_the_study_it_shows_is_one() -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    spec = study_from_dict(yaml.safe_load(block))
    assert {workload.mode for workload in spec.workloads} == set(MODES)
    assert len(spec.knob_choices_of("vllm")) == 2


def test_the_scripts_it_names_are_there_and_can_be_run() -> None:
    for name in set(re.findall(r"scripts/[a-z_]+(?:\.py)?", README)):
        assert (ROOT / name).exists(), name
        assert os.access(ROOT / name, os.X_OK), name


def test_the_pictures_and_pages_it_links_are_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_every_command_of_the_program_is_in_it() -> None:
    from autotune.cli import main

    for name in main.commands:
        assert f"autotune {name}" in README, name
