"""What a study's parent run says: its description in Markdown, its params, metrics and datasets."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.schema.record import RunRecord
from autotune.schema.workload import best_of
from autotune.store.tracking.layout import Source
from autotune.views.pages.document import inline, table
from autotune.views.study_report import limits_of
from autotune.views.wording import describe_start, describe_workload, outcome

# MLflow's tags hold 8000 characters.
_LONGEST = 7000
_MOST_ROWS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyNote:
    """What the parent run of a study gets.

    Attributes:
        text: Its description, in Markdown.
    """

    text: str
    params: Mapping[str, str]
    metrics: Mapping[str, float]


def study_note(
    study_id: str, records: Sequence[RunRecord], verdict: Sequence[str] = ()
) -> StudyNote:
    """Return the note of a study.

    Args:
        verdict: Sentences on the best and the baselines; found from the runs when empty.
    """
    best = best_of(records, limits_of(records))
    sentences = list(verdict) or _verdict(best)
    parts = [
        *(inline(line) for line in sentences),
        _table(records),
        _failures(records),
        _next(study_id, records),
    ]
    return StudyNote(
        text=_cut("\n\n".join(part for part in parts if part)),
        params=_shared(records),
        metrics=_metrics(records, best),
    )


def _verdict(best: RunRecord | None) -> list[str]:
    if best is None:
        return ["No configuration came to a throughput within the limits."]
    return [
        f"best: {describe_start(best)}, batch {best.batch_size}, {describe_workload(best)} tokens: "
        f"{outcome(best)}"
    ]


def _table(records: Sequence[RunRecord]) -> str:
    fastest = sorted(records, key=lambda r: -(r.output_throughput or 0.0))[:_MOST_ROWS]
    rows = [
        (inline(describe_start(r)), str(r.batch_size), describe_workload(r), inline(outcome(r)))
        for r in fastest
    ]
    more = len(records) - len(fastest)
    left = f"\n\nand {more} more" if more else ""
    return table(("engine and GPUs", "batch", "tokens in/out", "result"), rows, numbers=(1,)) + left


def _failures(records: Sequence[RunRecord]) -> str:
    failed = [r for r in records if r.status != "completed"]
    if not failed:
        return ""
    kinds = {r.status.replace("_", " ") for r in failed}
    return f"{len(failed)} of {len(records)} failed ({', '.join(sorted(kinds))})."


def _next(study_id: str, records: Sequence[RunRecord]) -> str:
    lines = [f"`autotune report {study_id} --output report.html` writes the whole report."]
    if records[0].source == "autotune":
        lines.append("`autotune train` learns from these runs.")
    return "Next: " + " ".join(lines)


def _cut(text: str) -> str:
    if len(text) <= _LONGEST:
        return text
    return text[:_LONGEST].rpartition("\n")[0] + "\n\n(cut)"


def _shared(records: Sequence[RunRecord]) -> dict[str, str]:
    """Return what all runs have in common, as params by the children's names."""
    names = ("model", "gpu", "engine", "n_gpus", "input_len", "output_len", "mode", "dtype")
    values = {name: {str(getattr(r, name)) for r in records} for name in names}
    return {name: found.pop() for name, found in values.items() if len(found) == 1}


def _metrics(records: Sequence[RunRecord], best: RunRecord | None) -> dict[str, float]:
    counted = {
        "n_configurations": len(records),
        "n_failed": sum(r.status != "completed" for r in records),
    }
    if best is not None:
        counted |= {
            f"best_{name}": value
            for name in (
                "output_throughput",
                "n_gpus",
                "batch_size",
                "mean_ttft_ms",
                "mean_tpot_ms",
            )
            if (value := getattr(best, name)) is not None
        }
    return {name: float(value) for name, value in counted.items()}


def sources_of(records: Sequence[RunRecord]) -> list[Source]:
    """Return the workloads of a study as datasets, or where imported runs come from."""
    if records[0].session_id is None:
        return [runs_source(f"runs of {records[0].source}", records, "import")]
    workloads = {describe_workload(r): r for r in records}
    return [
        Source(
            name=f"{r.knobs.get('workload.dataset_name', 'random')} prompts, {text} tokens",
            digest=_digest(text),
            context="workload",
            profile={"mode": r.mode, "input_len": r.input_len, "output_len": r.output_len},
        )
        for text, r in workloads.items()
    ]


def runs_source(name: str, records: Sequence[RunRecord], context: str) -> Source:
    """Return runs as a dataset whose digest tells whether they are the same."""
    return Source(
        name=name,
        digest=_digest(*sorted(r.record_id for r in records)),
        context=context,
        profile={
            "num_rows": len(records),
            "models": len({r.model for r in records}),
            "gpus": len({r.gpu for r in records}),
        },
    )


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]
