"""An explanation for a terminal."""

import math

from rich.console import Group
from rich.table import Table
from rich.text import Text

from recommender.commands.explain import Explanation
from recommender.features.roofline import BOTTLENECKS
from recommender.reports.attribution import Account
from recommender.surrogate.neighbours import Evidence

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
