"""Recommendations and confirmations as terminal tables."""

import math
from collections.abc import Iterable

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recommender.confirmation.result import Confirmation
from recommender.features.roofline import BOTTLENECKS
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.migration import Migration
from recommender.recommendation.query import Query
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.attribution import Account, Explanation
from recommender.surrogate.neighbours import Evidence

_COLUMNS = ("engine", "GPUs", "batch", "tok/s", "90 % interval", "tok/s/GPU", "TTFT ms", "TPOT ms",
            "GB/GPU", "fits")  # fmt: skip


def recommendation_view(made: Recommendation) -> Group:
    """Return the ranked candidates, the baselines, the migration, the reasons, the line to deploy.

    Columns of limits, cost and energy are there when they were asked for or are known.
    """
    work = made.query.workload
    table = Table(
        title=f"{made.query.model} on {made.target_gpu}, {work.input_len}/{work.output_len} tokens",
        title_justify="left",
    )
    table.add_column("", no_wrap=True)
    asked = _asked(made.query)
    for name in (*_COLUMNS, *asked):
        table.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    for index, candidate in enumerate(made.candidates):
        label = "best" if index == 0 else str(index + 1)
        table.add_row(label, *_cells(candidate, asked), style="bold" if index == 0 else "")
    table.add_section()
    for label, candidate in _baselines(made):
        table.add_row(label, *_cells(candidate, asked))
    shown = [*made.candidates, *(candidate for _, candidate in _baselines(made))]
    starred = ["* measured"] if any(c.status == "measured" for c in shown) else []
    remarks = [Text(remark, style="dim") for remark in (*starred, *made.remarks)]
    plan = made.deployment
    spread = f"  ({plan.text}: {plan.output_throughput:,.0f} tok/s)" if plan.replicas > 1 else ""
    return Group(
        table,
        *([] if made.migration is None else [migration_table(made.migration)]),
        Text(made.explanation),
        Text(),
        _deploy_line(made.best) + Text(spread),
        Text("Confirm: ", style="bold") + Text(f"autotune confirm {made.recommendation_id}"),
        _report_line(made.recommendation_id),
        *remarks,
    )


def migration_table(migration: Migration) -> Table:
    """Return what is served before and after, of the replica and of a GPU."""
    title = f"{migration.source_gpu} to {migration.target_gpu}: {migration.verdict}"
    table = Table(title=title, title_justify="left")
    names = ("engine", "GPUs", "batch", "tok/s", "90 % interval", "tok/s/GPU", "$/Mtok", "J/Mtok")
    table.add_column("", no_wrap=True)
    for name in names:
        table.add_column(name, justify="left" if name == "engine" else "right", no_wrap=True)
    for label, side in (("before", migration.before), ("after", migration.after)):
        joules = side.energy_j_per_token
        table.add_row(
            label,
            *_cells(side, ())[:6],
            _number(side.cost_per_mtok, 3),
            _number(None if joules is None else joules * 1e6, 0),
        )
    return table


def _asked(query: Query) -> tuple[str, ...]:
    """Return the further columns."""
    limits = ("within limits",) if query.slo.is_set else ()
    cost = ("$/Mtok",) if query.prices else ()
    return (*limits, *cost, *(("J/token",) if query.objective == "energy" else ()))


def _baselines(made: Recommendation) -> Iterable[tuple[str, Candidate]]:
    if made.keep_source is not None:
        yield "keep source", made.keep_source
    yield "largest", made.baselines["largest"]
    yield "most popular", made.baselines["most_popular"]


def _cells(candidate: Candidate, asked: Iterable[str]) -> list[str]:
    further = {
        "within limits": f"{candidate.p_within_limits:.0%}",
        "$/Mtok": _number(candidate.cost_per_mtok, 3),
        "J/token": _number(candidate.energy_j_per_token, 3),
    }
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
        "yes" if candidate.can_run else "no",
        *(further[name] for name in asked),
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
    deploy = [] if made.winner is None else [_deploy_line(made.winner)]
    report = _report_line(made.recommendation.recommendation_id)
    return Group(table, Text(made.summary), Text(), *deploy, report)


def _deploy_line(candidate: Candidate) -> Text:
    return Text("Deploy:  ", style="bold") + Text(candidate.command, style="cyan")


def _report_line(recommendation_id: str) -> Text:
    command = f"autotune report {recommendation_id} --output report.html"
    return Text("Report:  ", style="bold") + Text(command)


_STRONGEST = 3


def explanation_view(made: Explanation) -> Group:
    """Return times by cause and the trees' reasons of each candidate, and what they rest on."""
    warnings = [Text(f"Warning: {warning}", style="yellow") for warning in made.warnings]
    evidence = [Text(_evidence_text(name, seen)) for name, seen in made.evidence.items()]
    places = " and ".join(f"{c.engine} {c.n_gpus} x {c.batch_size}" for c in made.helpful)
    helpful = [Text(f"Runs that would help most (GPUs x batch size): {places}")] if places else []
    return Group(
        Text(made.recommendation.explanation),
        _causes(made),
        _neighbours(made),
        *evidence,
        *helpful,
        *warnings,
    )


def _causes(made: Explanation) -> Table:
    title = "Share of the time by cause, and what the trees add (SHAP values, as believed)"
    table = Table(title=title, title_justify="left")
    for name in ("", "engine", "GPUs", "batch", *(name.replace("_", " ") for name in BOTTLENECKS)):
        table.add_column(name, justify="left" if name in ("", "engine") else "right", no_wrap=True)
    table.add_column("trees", justify="right")
    table.add_column("most by")
    for index, account in enumerate(made.accounts):
        c = account.candidate
        table.add_row(
            "best" if index == 0 else str(index + 1),
            c.engine,
            str(c.n_gpus),
            str(c.batch_size),
            *(f"{account.shares[cause]:.0%}" for cause in BOTTLENECKS),
            f"{math.expm1(account.shrinkage * account.residual):+.1%}",
            _reasons(account),
        )
    return table


def _reasons(account: Account) -> str:
    return ", ".join(
        f"{name} {math.expm1(account.shrinkage * value):+.1%}"
        for name, value in account.strongest(_STRONGEST)
    )


def _neighbours(made: Explanation) -> Table | Text:
    near = made.accounts[0].neighbours if made.accounts else ()
    if not near:
        return Text("No run of this model is known: the advice rests on the surrogate alone.")
    table = Table(title="Own runs that say most about the best", title_justify="left")
    for name in ("similarity", "engine", "version", "GPU", "GPUs", "batch", "tok/s"):
        table.add_column(name, justify="left" if name in ("engine", "version", "GPU") else "right")
    for neighbour in near:
        run = neighbour.run
        table.add_row(
            f"{neighbour.similarity:.2f}",
            run.engine,
            run.engine_version or "-",
            run.gpu,
            str(run.n_gpus),
            str(run.batch_size),
            f"{run.output_throughput:,.1f}",
        )
    return table


def _evidence_text(engine: str, seen: Evidence) -> str:
    if not seen.n_gpus:
        return f"{engine}: the surrogate has learned from no run in this mode."
    return (
        f"{engine}: the surrogate learned from {seen.n_models} models on {seen.n_gpus} GPUs. "
        f"{_named('GPU', seen.has_gpu, seen.gpus)} {_named('Model', seen.has_model, seen.models)}"
    )


def _named(what: str, is_there: bool, nearest: tuple[str, ...]) -> str:
    state = "among them" if is_there else "not among them"
    return f"{what} {state}; nearest: {', '.join(nearest)}."
