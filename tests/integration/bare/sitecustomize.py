"""On PYTHONPATH: hides what a node that only measures lacks, as if it were not installed."""

import sys
from importlib.machinery import PathFinder

LACKING = ("mlflow", "optuna", "ray", "scipy", "sklearn", "sqlalchemy", "xgboost")


class Bare(PathFinder):
    """The usual finder, without those packages."""

    @classmethod
    def find_spec(cls, fullname, path=None, target=None):
        """Return where a module is; nothing for those."""
        if fullname.partition(".")[0] in LACKING:
            return None
        return PathFinder.find_spec(fullname, path, target)


sys.meta_path[:] = [Bare if finder is PathFinder else finder for finder in sys.meta_path]
