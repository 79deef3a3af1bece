"""The runs that come with a checkout: they belong to its default store, and to no other.

A store is given each of them once: it remembers how many of each journal it was given (journals
only grow), so that what a user deletes stays deleted and what is added later comes in.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from autotune.schema.record import RunRecord, short_name
from autotune.store.journal import read_journal
from autotune.store.location import DEFAULT_DIRECTORY, store_directory
from autotune.store.tracking.layout import NOTE

CHECKOUT = Path(__file__).parents[2]
_FOLDER = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """What a store lacks.

    Attributes:
        records: The runs that it was never given.
        given: Journal -> runs, once it was given these too.
    """

    records: tuple[RunRecord, ...]
    given: Mapping[str, int]


def reference_folder(uri: str) -> Path | None:
    """Return the folder of the reference runs if the store is the default one of its checkout."""
    home = (CHECKOUT / DEFAULT_DIRECTORY).resolve()
    is_default = uri.startswith("sqlite:///") and uri.endswith("/mlflow.db")
    folder = home / _FOLDER
    return folder if is_default and store_directory(uri).resolve() == home else None


def supply(folder: Path, given: Mapping[str, int]) -> Supply:
    """Return the runs of the journals under a folder that a store was not given.

    Raises:
        JournalError: When a journal cannot be read.
    """
    records: list[RunRecord] = []
    counts = dict(given)
    for path in sorted(folder.rglob("*.jsonl")):
        name = path.relative_to(folder).as_posix()
        found = read_journal(path)
        records += found[counts.get(name, 0) :]
        counts[name] = len(found)
    return Supply(records=tuple(records), given=counts)


def reference_runs(uri: str) -> list[RunRecord]:
    """Return the runs that the store will be given when it is first opened."""
    folder = reference_folder(uri)
    return [] if folder is None else list(supply(folder, {}).records)


def study_tags_of(record: RunRecord, note: str) -> dict[str, str]:
    """Return the tags that tell a reference run's study from the user's own.

    Args:
        note: Its description as a study.
    """
    weights = record.environment.get("weights", "unknown")
    return {
        "source": "reference",
        "mlflow.runName": f"{short_name(record.model)} · reference · {record.gpu}",
        NOTE: f"Came with autotune, measured with {weights} weights; "
        f"mlruns/reference/README.md says how.\n\n{note}",
    }
