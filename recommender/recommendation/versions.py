"""Which engine version an answer holds for, and whether known runs are of another."""

from collections.abc import Sequence
from typing import NamedTuple

from autotune.engines.knobs import engine_version
from autotune.engines.vllm.arguments import serve_flags_version
from autotune.schema.record import RunRecord


class HoldsFor(NamedTuple):
    """An engine version, and why that one."""

    version: str
    remark: str


def version_it_holds_for(
    engine: str, model: str, gpu: str, known: Sequence[RunRecord]
) -> HoldsFor | None:
    """Return the version that speeds of a model on a GPU were corrected to.

    That of the last run of the model there, else of the model elsewhere, else of other models.
    Where no run is known, vLLM's is that of the options that the line is checked against (and of
    the reference runs that the shipped surrogate is scored on), a pipeline's the installed one.

    Args:
        known: Runs that correct the predictions.
    """
    runs = [r for r in known if r.engine == engine and r.is_measured and not r.suspect]
    runs = [r for r in runs if r.engine_version]
    if runs:
        nearest = max(runs, key=lambda r: (r.model == model, r.gpu == gpu, r.started_at or ""))
        whose = "known runs" if nearest.model == model else "runs of other models"
        version = str(nearest.engine_version)
        why = f"with which {whose} were measured"
    elif engine == "vllm":
        version = serve_flags_version()
        why = "of which the line's options are: no run that names a version is known"
    else:
        installed = engine_version(engine)
        if installed is None:
            return None
        version, why = installed, "installed here: no run that names a version is known"
    return HoldsFor(version, f"It holds for {engine} {version}, {why}")


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
