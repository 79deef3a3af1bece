"""The paper's replication runs, put into a store and read back from it."""

import sys
from pathlib import Path

from autotune.importers.readers.published import infpop
from autotune.importers.run import import_files
from autotune.schema.record import RunRecord
from autotune.store.tracking.store import Store


def stored_runs(folder: Path, store: Store) -> list[RunRecord]:
    """Import the runs of a replication folder and return them as the store has them."""
    imported = import_files([folder / "allData.csv"], store.uri, format_name="infpop")
    print(imported.text, file=sys.stderr)
    return [r for r in store.cache.read() or store.read() if r.source == infpop.SOURCE]
