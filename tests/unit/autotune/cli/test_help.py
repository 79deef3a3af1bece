"""Every command and every option explains itself; tests/unit/test_docs.py holds the pages to it."""

import re

import click
import pytest

from autotune.cli import main

COMMANDS = sorted(main.commands.items())
OPTIONS = [
    (name, parameter)
    for name, command in COMMANDS
    for parameter in command.params
    if isinstance(parameter, click.Option)
]


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_command_has_help_and_an_example_that_parses(name: str, command: click.Command) -> None:
    assert command.help
    _, _, examples = command.help.partition("Example:")
    lines = [line.strip() for line in examples.replace("\\\n", " ").splitlines()]
    own = [line for line in lines if line.startswith(f"autotune {name}")]
    assert own, f"{name} has no example"
    known = {flag for parameter in command.params for flag in parameter.opts}
    for line in own:
        assert set(re.findall(r"(?<=\s)--[a-z0-9-]+", line)) <= known, line


@pytest.mark.parametrize(
    ("name", "option"), OPTIONS, ids=[f"{name} {option.opts[0]}" for name, option in OPTIONS]
)
def test_option_has_help(name: str, option: click.Option) -> None:
    assert option.help, f"{name} {option.name} has no help"


def test_help_says_the_exit_codes() -> None:
    assert "Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted" in (main.help or "")


def test_commands_of_the_contract_exist() -> None:
    expected = {"run", "import", "train", "evaluate", "predict", "recommend", "confirm"}
    later = {"explain", "report", "gpus", "models", "ui", "demo", "export", "doctor"}
    assert expected | later <= set(main.commands)
