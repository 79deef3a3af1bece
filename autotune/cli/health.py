"""What ``autotune doctor`` says of the surrogate in force."""

from autotune.cli.doctor import Check
from autotune.errors import SurrogateError
from autotune.store.cache import store_directory
from recommender.commands.context import load_predictor
from recommender.surrogate.in_force import version_in_force


def surrogate_check(tracking_uri: str) -> Check:
    """Load the surrogate that answers for a store."""
    directory = store_directory(tracking_uri)
    version = version_in_force(directory)
    name = "the shipped one" if version is None else f"version {version} of this store"
    try:
        rows = load_predictor(directory).meta.summary.get("rows_used")
    except SurrogateError as error:
        advice = "`autotune train --rollback` returns to the one before"
        return Check(name="surrogate", state="problem", found=str(error), advice=advice)
    return Check(name="surrogate", state="ok", found=f"{name}, learned from {rows} runs")
