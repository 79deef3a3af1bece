"""Confirmations and explanations as terminal tables."""

import math
from typing import Final

from rich.console import Group
from rich.text import Text

from autotune.views.fitted_table import Column, FittedTable
from recommender.confirmation.result import Confirmation
from recommender.features.roofline import BOTTLENECKS
from recommender.reports.attribution import Account, Explanation
from recommender.reports.lines import deploy_lines, report_line
from recommender.surrogate.neighbours import Evidence

_RUNS: Final = (
    Column(name="run", is_number=False),
    Column(name="engine", priority=3, is_number=False),
    Column(name="GPUs"),
    Column(name="batch"),
    Column(name="predicted", priority=1),
    Column(name="90 % interval", priority=2),
    Column(name="measured"),
    Column(name="error"),
)


def confirmation_view(made: Confirmation) -> Group:
    """Return predicted beside measured for each run, and the winner."""
    table = FittedTable(_RUNS, title=f"Confirmed on {made.recommendation.target_gpu}")
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
    gpu = made.recommendation.target_gpu
    deploy = [] if made.winner is None else deploy_lines(made.winner, gpu)
    report = report_line(made.recommendation.recommendation_id)
    return Group(table, Text(made.summary), Text(), *deploy, report)


_STRONGEST = 3


def explanation_view(made: Explanation) -> Group:
    """Return times by cause and the trees' reasons of each candidate, and what they rest on."""
    warnings = [Text(f"Warning: {text}", style="yellow") for text in made.further_warnings]
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


_CAUSES: Final = (
    Column(name="", is_number=False),
    Column(name="engine", priority=7, is_number=False),
    Column(name="GPUs"),
    Column(name="batch"),
    *(
        Column(name=name.replace("_", " "), priority=priority)
        for priority, name in enumerate(BOTTLENECKS, start=1)
    ),
    Column(name="trees"),
    Column(name="most by", priority=6, is_words=True),
)


def _causes(made: Explanation) -> FittedTable:
    title = "Share of the time by cause, and what the trees add (SHAP values, as believed)"
    table = FittedTable(_CAUSES, title=title)
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


_NEIGHBOURS: Final = (
    Column(name="similarity"),
    Column(name="engine", is_number=False),
    Column(name="version", priority=1, is_number=False),
    Column(name="GPU", is_number=False),
    Column(name="GPUs"),
    Column(name="batch"),
    Column(name="tok/s"),
)


def _neighbours(made: Explanation) -> FittedTable | Text:
    near = made.accounts[0].neighbours if made.accounts else ()
    if not near:
        return Text("No run of this model is known: the advice rests on the surrogate alone.")
    table = FittedTable(_NEIGHBOURS, title="Own runs that say most about the best")
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
