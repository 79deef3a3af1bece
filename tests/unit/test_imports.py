"""The walls of the house: who may import what. docs/architecture.md says why."""

import ast
import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "autotune").rglob("*.py"), *(ROOT / "recommender").rglob("*.py")])
# Rooms from the inside out: each may import those of earlier lines, and itself.
ORDER = (
    ("autotune.errors", "autotune.version", "autotune.processes"),
    ("autotune.files",),
    ("autotune.schema",),
    ("autotune.catalog",),
    ("autotune.engines",),
    ("autotune.runner",),
    ("autotune.views",),
    ("autotune.store",),
    ("autotune.study", "autotune.importers"),
    ("autotune",),
    ("recommender.features",),
    ("recommender.surrogate",),
    ("recommender.decision",),
    ("recommender.recommendation",),
    ("recommender.confirmation",),
    ("recommender.training",),
    ("recommender.evaluation",),
    ("recommender.reports",),
    ("recommender.commands",),
    ("recommender.api",),
    ("recommender",),
    ("autotune.cli",),
)
RANK = {room: rank for rank, rooms in enumerate(ORDER) for room in rooms}
# Package -> the only room (or module) that imports it.
FENCES = {
    "mlflow": ("autotune/store/tracking/", "recommender/training/registry.py"),
    "optuna": ("autotune/study/strategies.py",),
    "ray": ("autotune/study/fleet/",),
    "xgboost": ("recommender/training/fit.py",),
    "vllm": ("autotune/engines/",),
    "torch": ("autotune/engines/",),
    "transformers": ("autotune/engines/",),
    "accelerate": ("autotune/engines/",),
    "click": ("autotune/cli/",),
    "huggingface_hub": ("autotune/catalog/hub.py",),
    "pooch": ("autotune/importers/download.py",),
    "plotly": ("autotune/views/charts/",),
    "markdown_it": ("autotune/views/pages/",),
}
MOST_MODULES = 14


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(path: Path) -> str:
    return place(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".")


MODULES = {dotted(path): path for path in SOURCES}


def room(module: str) -> str:
    return ".".join(module.split(".")[:2])


@cache
def imports(path: Path) -> tuple[str, ...]:
    """Dotted names of everything a file imports, also inside functions."""
    found: list[str] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def own_imports(path: Path) -> Iterator[str]:
    """The project's own modules that a file imports."""
    for name in imports(path):
        if name.split(".")[0] in ("autotune", "recommender"):
            yield name if name in MODULES else name.rpartition(".")[0]


each_source = pytest.mark.parametrize("path", SOURCES, ids=[place(path) for path in SOURCES])


@each_source
def test_a_module_lies_in_a_room_and_imports_inwards(path: Path) -> None:
    own = room(dotted(path))
    assert own in RANK, f"{place(path)} lies in no room of ORDER"
    for other in own_imports(path):
        if room(other) != own:
            assert RANK[room(other)] < RANK[own], f"{place(path)} imports {other}, further out"


@each_source
def test_a_fenced_package_is_imported_behind_its_fence_only(path: Path) -> None:
    for name in imports(path):
        allowed = FENCES.get(name.split(".")[0])
        assert allowed is None or place(path).startswith(allowed), f"{place(path)} imports {name}"


def test_no_modules_import_each_other_in_a_circle() -> None:
    left = {name: set(own_imports(path)) - {name} for name, path in MODULES.items()}
    while leaves := {name for name, inward in left.items() if not inward & left.keys()}:
        left = {name: inward for name, inward in left.items() if name not in leaves}
    assert not left


def test_no_folder_holds_more_than_can_be_seen_at_once() -> None:
    folders = Counter(place(path.parent) for path in SOURCES if path.name != "__init__.py")
    assert {name: n for name, n in folders.items() if n > MOST_MODULES} == {}


def test_nothing_shipped_knows_the_scripts() -> None:
    names = itertools.chain.from_iterable(imports(path) for path in SOURCES)
    assert not {name for name in names if name.split(".")[0] in ("research", "scripts", "tests")}


@each_source
def test_no_error_is_caught_by_the_broadest_net(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = {"Exception", "BaseException"}
        if any(c is None or (isinstance(c, ast.Name) and c.id in broad) for c in caught):
            assert place(path) == "autotune/runner/worker.py", f"{place(path)}:{node.lineno}"
            assert "BLE001" in lines[node.lineno - 1]


BLOCK = """
import sys

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {blocked!r}:
            raise ImportError(name + " is not on a bare GPU node")

sys.meta_path.insert(0, Block())
import {module}
outside = sorted(
    name for name in sys.modules
    if "." not in name and name not in sys.stdlib_module_names
    and not name.startswith(("_", "autotune"))
    and "site-packages" in (getattr(sys.modules[name], "__file__", None) or "")
)
assert not set(outside) - {{"click"}}, outside
"""


@pytest.mark.parametrize(
    "module",
    [
        "autotune.runner.worker",
        "autotune.runner.session",
        "autotune.runner.runner",
        "autotune.study.strategies",
        "autotune.study.loop",
        "autotune.store.journal",
        "autotune.schema.codec",
        "autotune.schema.study_spec",
        "autotune.study.run",
    ],
)
def test_a_bare_gpu_node_can_measure(module: str) -> None:
    blocked = (
        "mlflow",
        "numpy",
        "optuna",
        "rich",
        "matplotlib",
        "yaml",
        "xgboost",
        "sklearn",
        "recommender",
    )
    script = BLOCK.format(blocked=blocked, module=module)
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr


COLD = """
import sys
import {module}
heavy = {{"mlflow", "optuna", "pandas", "scipy", "sklearn", "torch", "xgboost", "yaml"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
assert {may_be_rich} or "rich" not in sys.modules
"""


@pytest.mark.parametrize(
    "module",
    [
        "recommender.commands.recommend",
        "recommender.confirmation.confirm",
        "recommender.commands.confirm",
        "recommender.commands.predict",
        "recommender.reports.answer_tables",
        "recommender.reports.tables",
        "recommender.reports.attribution",
    ],
)
def test_advice_needs_numpy_alone(module: str) -> None:
    """And, to be shown on a terminal, rich."""
    script = COLD.format(module=module, may_be_rich=module.endswith("tables"))
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
