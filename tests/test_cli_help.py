"""Every command explains itself."""

import click
import pytest

from autotune.cli import main

COMMANDS = sorted(main.commands.items())


@pytest.mark.parametrize(("name", "command"), COMMANDS, ids=[name for name, _ in COMMANDS])
def test_command_has_help_an_example_and_helped_options(name: str, command: click.Command) -> None:
    assert command.help
    assert "Example:" in command.help
    assert f"autotune {name}" in command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{name} {parameter.name} has no help"


def test_commands_of_the_contract_exist() -> None:
    expected = {"run", "import", "train", "evaluate", "predict", "recommend", "confirm"}
    assert expected | {"explain", "gpus", "models", "ui", "demo", "export"} <= set(main.commands)
