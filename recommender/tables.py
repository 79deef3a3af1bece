"""Recommendations and confirmations as terminal tables."""

from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recommender.candidates import Candidate
from recommender.confirmation import Confirmation
from recommender.recommend import Recommendation

_COLUMNS = ("engine", "GPUs", "batch", "tok/s", "90 % interval", "tok/s/GPU", "TTFT ms", "TPOT ms",
            "GB/GPU", "fits")  # fmt: skip


def recommendation_view(made: Recommendation) -> Group:
    """Return the ranked candidates, the baselines, the reasons and the line to deploy."""
    work = made.query.workload
    table = Table(
        title=f"{made.query.model} on {made.target_gpu}, {work.input_len}/{work.output_len} tokens",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    for name in _COLUMNS:
        table.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    for index, candidate in enumerate(made.candidates):
        label = "best" if index == 0 else str(index + 1)
        table.add_row(label, *_cells(candidate), style="bold" if index == 0 else "")
    table.add_section()
    for label, candidate in _baselines(made):
        table.add_row(label, *_cells(candidate))
    remarks = [Text(remark, style="dim") for remark in made.remarks]
    return Group(
        table,
        Text(made.explanation),
        Text(),
        Text("Deploy:  ", style="bold") + Text(made.best.command, style="cyan"),
        Text("Confirm: ", style="bold") + Text(f"autotune confirm {made.recommendation_id}"),
        *remarks,
    )


def _baselines(made: Recommendation) -> Iterable[tuple[str, Candidate]]:
    if made.keep_source is not None:
        yield "keep source", made.keep_source
    yield "largest", made.baselines["largest"]
    yield "most popular", made.baselines["most_popular"]


def _cells(candidate: Candidate) -> list[str]:
    return [
        candidate.engine,
        str(candidate.n_gpus),
        str(candidate.batch_size),
        f"{candidate.output_throughput:,.0f}" + ("*" if candidate.status == "measured" else ""),
        f"{candidate.low:,.0f} - {candidate.high:,.0f}",
        f"{candidate.output_throughput_per_gpu:,.0f}",
        _number(candidate.ttft_ms, 0),
        _number(candidate.tpot_ms, 1),
        f"{candidate.memory_gb:.1f}",
        "yes" if candidate.is_feasible else "no",
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def confirmation_view(made: Confirmation) -> Group:
    """Return predicted beside measured for each run, and the winner."""
    table = Table(title=f"Confirmed on {made.recommendation.target_gpu}", title_justify="left")
    columns = ("run", "engine", "GPUs", "batch", "predicted", "90 % interval", "measured", "error")
    for name in columns:
        table.add_column(name, justify="left" if name in ("run", "engine") else "right")
    for run in made.runs:
        predicted, record = run.predicted, run.record
        measured = record.status.replace("_", " ")
        if record.output_throughput is not None and run.error is not None:
            measured = f"{record.output_throughput:,.1f}"
        table.add_row(
            run.role,
            predicted.engine,
            str(predicted.n_gpus),
            str(predicted.batch_size),
            f"{predicted.output_throughput:,.1f}",
            f"{predicted.low:,.1f} - {predicted.high:,.1f}",
            measured,
            "-" if run.error is None else f"{run.error:+.1%}",
        )
    return Group(table, Text(made.summary))
