#!/usr/bin/env python
"""Writes docs/reference-cli.md from the commands themselves.

Usage: scripts/build_cli_reference.py [--check]

`--check` writes nothing and exits 1 if the page is not what the commands say.
"""

import argparse
import os
import sys
import textwrap
from pathlib import Path

import click

from autotune.cli import main as program

PAGE = Path(__file__).parents[1] / "docs" / "reference-cli.md"
WIDTH = 90
OPENING = """\
# Command line

```sh
autotune --help
```

```text
{help}
```

Every command and every option, as the commands themselves describe them
(`scripts/build_cli_reference.py` writes this page).

- Results go to standard output, progress and remarks to standard error. `--json` prints the result
  as JSON.
- Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
- `NO_COLOR` is heeded. A pipe gets neither colours nor hints.
- `--tracking-uri` names the store. Without it `MLFLOW_TRACKING_URI` counts, then
  `sqlite:///mlruns/mlflow.db` in the present folder.
- `eval "$(_AUTOTUNE_COMPLETE=bash_source autotune)"` completes commands, options, models, GPUs and
  ids in bash; `zsh_source` and `fish_source` do so likewise.
"""


def reference() -> str:
    """Return the whole page."""
    settings = program.context_settings
    context = click.Context(program, info_name="autotune", terminal_width=WIDTH, **settings)
    sections = [OPENING.format(help=program.get_help(context))]
    for name, command in sorted(program.commands.items()):
        sections.append(section(name, command, context))
    return "\n".join(sections)


def section(name: str, command: click.Command, parent: click.Context) -> str:
    """Return what the page says of one command."""
    context = click.Context(command, parent=parent, info_name=name)
    about, _, examples = (command.help or "").partition("Example:")
    pieces = " ".join(command.collect_usage_pieces(context))
    lines = [f"## {name}", "", *_paragraphs(about), "```text", f"autotune {name} {pieces}", "```"]
    options = [p for p in command.params if isinstance(p, click.Option)]
    lines += ["", *(_option(option, context) for option in options), "", "```text"]
    lines += [*(line.strip() for line in examples.strip().splitlines()), "```", ""]
    return "\n".join(lines)


def _paragraphs(text: str) -> list[str]:
    """Return the lines of a help text; a paragraph that click leaves as it is stays so."""
    lines: list[str] = []
    for paragraph in text.strip().split("\n\n"):
        plain = textwrap.dedent(paragraph.replace("\b", "")).strip()
        if "\b" in paragraph and plain:
            lines += ["```text", *plain.splitlines(), "```", ""]
        elif plain:
            lines += [" ".join(plain.split()), ""]
    return lines


def _option(option: click.Option, context: click.Context) -> str:
    record = option.get_help_record(context)
    assert record is not None, option.name
    flags, text = record
    return f"- `{flags}`: {' '.join(text.split())}"


def main() -> int:
    """Write the page, or say that it is stale."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it is stale")
    options = parser.parse_args()
    os.environ.pop("MLFLOW_TRACKING_URI", None)
    made = reference()
    if not options.check:
        PAGE.write_text(made, encoding="utf-8")
    elif not PAGE.exists() or PAGE.read_text(encoding="utf-8") != made:
        print(f"{PAGE.name} is stale: run scripts/build_cli_reference.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
