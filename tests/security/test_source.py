"""Nothing in the source unpickles, evaluates, uses a shell, or listens beyond this host."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from autotune.importers.download import SOURCES

ROOT = Path(__file__).parents[2]
SOURCE_FILES = sorted(
    path
    for folder in ("autotune", "recommender", "scripts")
    for path in (ROOT / folder).rglob("*.py")
)
UNPICKLERS = {"pickle", "cPickle", "joblib", "dill", "cloudpickle", "shelve", "marshal", "skops"}
FORBIDDEN_CALLS = re.compile(
    r"^(eval|exec|os\.system|os\.popen|torch\.load|yaml\.(load|full_load|unsafe_load|load_all)"
    r"|mlflow\.\w+\.load_model|mlflow\.pyfunc\.\w+|np\.load|numpy\.load)$"
)
ADDRESS = re.compile(r"http://(?!127\.0\.0\.1|localhost|host:|\{|\w+\.example)[\w]")


def nodes(path: Path) -> Iterator[ast.AST]:
    yield from ast.walk(ast.parse(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", SOURCE_FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_source_file_does_nothing_that_runs_what_it_reads(path: Path) -> None:
    for node in nodes(path):
        if isinstance(node, ast.Import):
            assert not {alias.name.split(".")[0] for alias in node.names} & UNPICKLERS
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLERS
        elif isinstance(node, ast.Call):
            assert not FORBIDDEN_CALLS.match(ast.unparse(node.func)), f"{path}:{node.lineno}"
            for keyword in node.keywords:
                assert keyword.arg not in ("shell", "allow_pickle"), f"{path}:{node.lineno}"
    text = path.read_text(encoding="utf-8")
    assert "0.0.0.0" not in text
    assert not ADDRESS.search(text)


def test_what_is_fetched_is_fetched_over_https_and_pinned() -> None:
    for name, source in SOURCES.items():
        assert source.url.startswith("https://"), name
        assert re.fullmatch(r"[0-9a-f]{7,40}", source.commit), name
