"""Puts a light engine in the place of Hugging Face's in any process started with this on its path.

Everything around the engine stays real: the worker process, its pipes, the session, the study. An
engine that takes milliseconds lets a fault be tried at fifty moments instead of two.
"""

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

_NEEDED = ("accelerate", "torch", "transformers")
_ENGINE = Path(__file__).with_name("light_engine.py")


class LightEngineFinder(MetaPathFinder):
    """Answers for the module of the Hugging Face engine."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != "autotune.engines.hf.pipeline":
            return None
        return importlib.util.spec_from_file_location(name, _ENGINE)


class AbsentEngineFinder(MetaPathFinder):
    """Lets the engine be found on a host that has not installed it; nobody imports it."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return ModuleSpec(name, None) if name in _NEEDED else None


sys.meta_path.insert(0, LightEngineFinder())
sys.meta_path.append(AbsentEngineFinder())
