"""``autotune export``: the store's runs as a file."""

from pathlib import Path

from autotune.schema.codec import to_csv, to_json_line
from autotune.store.cache import write_atomically


def export_runs(output: Path, tracking_uri: str) -> int:
    """Write every run of the store (JSON lines, or CSV by suffix); return how many."""
    from autotune.store.tracking.store import Store

    records = Store(tracking_uri).read()
    if output.suffix == ".csv":
        text = to_csv(records)
    else:
        text = "".join(to_json_line(record) + "\n" for record in records)
    write_atomically(output, text)
    return len(records)
