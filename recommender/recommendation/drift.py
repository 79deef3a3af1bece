"""Runs of another engine version than the one that will serve."""

from collections.abc import Sequence

from autotune.engines.knobs import engine_version
from autotune.schema.record import RunRecord


def version_drift(known: Sequence[RunRecord], engine: str) -> str | None:
    """Return a warning when own runs were measured with another version than counts now.

    What counts is the version installed here; where the engine is not installed, the version of
    the last run.
    """
    runs = [r for r in known if r.engine == engine and r.is_measured and r.engine_version]
    if not runs:
        return None
    installed = engine_version(engine)
    last = max(runs, key=lambda run: run.started_at or "")
    now = installed or last.engine_version
    other = sorted({r.engine_version or "" for r in runs} - {now or ""})
    if not other:
        return None
    count = sum(r.engine_version != now for r in runs)
    which = "is installed here" if installed else "is that of the last run"
    return (
        f"{count} of {len(runs)} known {engine} runs were measured with {', '.join(other)}, "
        f"{now} {which}: speeds may have changed, so measure one of them again."
    )
