"""The walls of the house: who may import what."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted([*(ROOT / "autotune").rglob("*.py"), *(ROOT / "recommender").rglob("*.py")])
# Package -> the only files (or folders) that may import it.
FENCES = {
    "mlflow": ("autotune/tracking.py", "autotune/store_runs.py", "recommender/registry.py"),
    "optuna": ("autotune/search.py",),
    "ray": ("autotune/fleet.py",),
    "xgboost": ("recommender/surrogate.py",),
    "vllm": ("autotune/engines/",),
    "torch": ("autotune/engines/",),
    "transformers": ("autotune/engines/",),
    "accelerate": ("autotune/engines/",),
    "click": (
        "autotune/cli.py",
        "autotune/completion.py",
        "autotune/options.py",
        "autotune/terminal.py",
    ),
    "pooch": ("autotune/downloading.py",),
    "plotly": ("autotune/charts/interactive.py",),
    "markdown_it": ("autotune/pages/html.py",),
}
# autotune's modules from the inside out: each may import those of earlier lines only.
LAYERS = (
    {"errors", "vocabulary", "oom", "file_names", "credentials"},
    {"configuration", "checks", "dtypes"},
    {"records", "engine_config", "demand", "architecture", "processes", "nvml"},
    {"kept", "limits", "wording"},
    {"spec_reading"},
    {
        "spec",
        "codec",
        "metrics",
        "failures",
        "telemetry",
        "environment",
        "prompt_files",
        "occupancy",
    },
    {"gpus", "models", "budget"},
    {"journal", "memory", "space", "local_models", "worker_process", "worker_events", "defaults"},
    {"engines", "session"},
    {"worker", "bench"},
    {"planning"},
    {"remaining"},
    {"sweep", "trying"},
    {"outlook", "search"},
    {"study"},
    {"fleet_study", "fleet_host"},
    {"fleet"},
)


def imports(path: Path) -> Iterator[str]:
    """Dotted names of everything a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def place(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def names(paths: list[Path]) -> list[str]:
    return [place(path) for path in paths]


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_a_fenced_package_is_imported_behind_its_fence_only(path: Path) -> None:
    for name in imports(path):
        allowed = FENCES.get(name.split(".")[0])
        if name.startswith("mlflow.xgboost"):
            allowed = ("recommender/registry.py",)
        assert allowed is None or place(path).startswith(allowed), f"{place(path)} imports {name}"


AUTOTUNE = [path for path in SOURCES if place(path).startswith("autotune/")]


@pytest.mark.parametrize("path", AUTOTUNE, ids=names(AUTOTUNE))
def test_autotune_does_not_know_the_recommender(path: Path) -> None:
    if place(path) != "autotune/cli.py":
        assert not [name for name in imports(path) if name.split(".")[0] == "recommender"]


def layer(module: str) -> int | None:
    return next((k for k, modules in enumerate(LAYERS) if module in modules), None)


@pytest.mark.parametrize("path", AUTOTUNE, ids=names(AUTOTUNE))
def test_measuring_modules_import_inwards_only(path: Path) -> None:
    own = path.relative_to(ROOT / "autotune").parts[0].removesuffix(".py")
    own_layer = layer(own)
    if own_layer is None:
        return
    for name in imports(path):
        parts = name.split(".")
        if parts[0] == "autotune" and len(parts) > 1 and parts[1] not in (own, "__version__"):
            other = layer(parts[1])
            assert other is not None, f"{own} imports {parts[1]}, which lies further out"
            assert other < own_layer, f"{own} imports {parts[1]}, which does not lie further in"


@pytest.mark.parametrize("path", SOURCES, ids=names(SOURCES))
def test_no_error_is_caught_by_the_broadest_net(path: Path) -> None:
    lines = path.read_text(encoding="utf-8").splitlines()
    for node in ast.walk(ast.parse("\n".join(lines))):
        if not isinstance(node, ast.ExceptHandler):
            continue
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        broad = {"Exception", "BaseException"}
        if any(c is None or (isinstance(c, ast.Name) and c.id in broad) for c in caught):
            assert place(path) == "autotune/worker.py", f"{place(path)}:{node.lineno}"
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
        "autotune.study.loop.strategies",
        "autotune.study.loop.loop",
        "autotune.store.journal",
        "autotune.schema.codec",
        "autotune.schema.study_spec",
        "autotune.study.loop.run",
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
heavy = {{"mlflow", "optuna", "pandas", "rich", "scipy", "sklearn", "torch", "xgboost", "yaml"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
"""


@pytest.mark.parametrize(
    "module",
    [
        "recommender.commands.recommend",
        "recommender.confirmation.result._confirm",
        "recommender.commands.confirm",
    ],
)
def test_advice_needs_numpy_alone(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", COLD.format(module=module)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
