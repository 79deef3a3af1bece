#!/usr/bin/env python
"""Writes the options of `vllm serve` that autotune ships, from vLLM's source.

Usage: scripts/build_vllm_flags.py SOURCE [--output FILE]

SOURCE is the folder `vllm` of an unpacked wheel. Nothing of it is run: PyTorch and a GPU are not
needed. Its parser takes three kinds of options: those that the server's and the engine's modules
add by name, a field of the front end's classes each, and the `--no-` form of what is a switch.
"""

import argparse
import ast
import re
from collections.abc import Iterator
from pathlib import Path

SHIPPED = Path(__file__).parents[1] / "autotune" / "engines" / "vllm" / "serve_flags.txt"
ENGINE = Path("engine/arg_utils.py")
# Where the server's own lie, in 0.26 and in 0.32.
SERVERS = (Path("entrypoints/openai/cli_args.py"), Path("entrypoints/launchers/cli_args.py"))
FRONT_ENDS = ("BaseFrontendArgs", "FrontendArgs")
# Of a switch that also takes a value, no `--no-` form is made.
BOOL_OR_TEXT = {"bool", "str", "None"}
HEAD = """\
# Options of `vllm serve`, one a line, in vLLM {version}.
# Source: vLLM's argument parser, {server} and {engine}
# of the wheel on PyPI (Apache-2.0). Written by
#   pip download vllm=={version} --no-deps && unzip vllm-{version}-*.whl 'vllm/*.py'
#   scripts/build_vllm_flags.py vllm
"""

Fields = dict[str, dict[str, str]]


def flags(source: Path) -> set[str]:
    """Return every option with two dashes."""
    fields = dict(class_fields(source))
    found = {"--help"}
    for module in (server_module(source), ENGINE):
        tree = ast.parse((source / module).read_text(encoding="utf-8"))
        for function in parser_functions(tree):
            found |= set(added(function, fields))
    for name in FRONT_ENDS:
        for field, annotation in fields[name].items():
            found |= both_forms("--" + field.replace("_", "-"), is_switch(annotation))
    return found


def server_module(source: Path) -> Path:
    """Return where this version keeps the server's options, inside the source."""
    for module in SERVERS:
        if (source / module).is_file():
            return module
    raise SystemExit(f"{source} has none of {', '.join(map(str, SERVERS))}")


def parser_functions(tree: ast.Module) -> Iterator[ast.FunctionDef]:
    """Yield what fills the parser; the front ends' own, which loop over fields, name no option."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name in ("add_cli_args", "make_arg_parser"):
            yield node


def class_fields(source: Path) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the annotated fields of vLLM's configuration classes and front ends."""
    for path in (source / server_module(source), *sorted((source / "config").rglob("*.py"))):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef):
                yield (
                    node.name,
                    {
                        item.target.id: ast.unparse(item.annotation)
                        for item in node.body
                        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
                    },
                )


def added(function: ast.FunctionDef, fields: Fields) -> Iterator[str]:
    """Yield the options of the function's calls of ``add_argument``."""
    classes = {
        target.id: node.value.args[0].id
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Call)
        and ast.unparse(node.value.func) == "get_kwargs"
        and isinstance(node.value.args[0], ast.Name)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".add_argument"):
            for argument in node.args:
                text = argument.value if isinstance(argument, ast.Constant) else ""
                if isinstance(text, str) and text.startswith("--"):
                    yield from both_forms(text, adds_switch(node, classes, fields))


def adds_switch(call: ast.Call, classes: dict[str, str], fields: Fields) -> bool:
    """Whether a call adds a ``--no-`` form too: by an action of its own, or by a field's type."""
    text = ast.unparse(call)
    if "BooleanOptionalAction" in text:
        return True
    taken = re.search(r"(\w+)\['(\w+)'\]", text)
    if taken is None or taken[1] not in classes:
        return False
    return is_switch(fields[classes[taken[1]]][taken[2]])


def is_switch(annotation: str) -> bool:
    """Whether vLLM makes a pair of switches of a field so annotated."""
    types = {part.strip() for part in annotation.split("|")}
    return "bool" in types and types != BOOL_OR_TEXT


def both_forms(flag: str, has_no: bool) -> set[str]:
    """Return the option, with its ``--no-`` form if it has one."""
    return {flag, flag.replace("--", "--no-", 1)} if has_no else {flag}


def version_of(source: Path) -> str:
    """Return the version that the wheel states."""
    text = (source / "_version.py").read_text(encoding="utf-8")
    found = re.search(r"^__version__ = version = ['\"]([^'\"+]+)", text, re.MULTILINE)
    if found is None:
        raise SystemExit(f"{source / '_version.py'} states no version")
    return found[1]


def main() -> None:
    """Write the list."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--output", type=Path, default=SHIPPED)
    given = parser.parse_args()
    head = HEAD.format(
        version=version_of(given.source), server=server_module(given.source), engine=ENGINE
    )
    lines = [head, *(f"{flag}\n" for flag in sorted(flags(given.source)))]
    given.output.write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
