"""Recommendations and confirmations as terminal tables."""

import math
from collections.abc import Iterable
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from autotune.views.fitted_table import Column, FittedTable
from recommender.confirmation.result import Confirmation
from recommender.features.roofline import BOTTLENECKS
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.comparison import Comparison
from recommender.recommendation.explanation import headline
from recommender.recommendation.migration import Migration
from recommender.recommendation.plans import how_often, plan_in_words
from recommender.recommendation.query import Query
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.attribution import Account, Explanation
from recommender.surrogate.neighbours import Evidence

# The last to be asked for is the first to go where a terminal is narrow.
_COLUMNS: Final = (
    Column(name="", is_number=False),
    Column(name="engine", priority=8, is_number=False),
    Column(name="replicas", is_number=False),
    Column(name="batch"),
    Column(name="tok/s"),
    Column(name="90 % interval", priority=3),
    Column(name="tok/s/GPU", priority=5),
    Column(name="tok/s/user", priority=1),
    Column(name="TTFT ms", priority=4),
    Column(name="TPOT ms", priority=6),
    Column(name="GB/GPU", priority=7),
    Column(name="fits", priority=9),
)
_WITHIN: Final = Column(name="within limits", priority=2)
_COST: Final = Column(name="$/Mtok", priority=2)
_ENERGY: Final = Column(name="J/token", priority=2)


def recommendation_view(made: Recommendation) -> Group:
    """Return the answer in a line, the choices beside it, the reasons, the lines to go on with.

    Columns of limits, cost and energy are there when they were asked for or are known.
    """
    work = made.query.workload
    asked = _asked(made.query)
    title = f"{made.query.model} on {made.target_gpu}, {work.input_len}/{work.output_len} tokens"
    table = FittedTable([*_COLUMNS, *asked])
    choices = made.frontier or made.candidates
    for index, candidate in enumerate(choices):
        table.add_row(
            "best" if index == 0 else _RATHER if made.frontier else str(index + 1),
            *_cells(candidate, asked),
            style="bold" if index == 0 else "",
            end_section=index == len(choices) - 1,
        )
    for label, candidate in _baselines(made):
        table.add_row(label, *_cells(candidate, asked))
    shown = [*choices, *(candidate for _, candidate in _baselines(made))]
    starred = ["* measured"] if any(c.status == "measured" for c in shown) else []
    remarks = [Text(remark, style="dim") for remark in (*starred, *made.remarks)]
    return Group(
        Text(f"{title}:", style="bold"),
        Text(f"{headline(made.best, made.query)}.", style="bold"),
        table,
        *([] if made.migration is None else [migration_table(made.migration)]),
        *(_bullet(reason) for reason in made.reasons or (made.explanation,)),
        *_alternatives(made),
        Text(),
        *_deploy_lines(made.best, made.target_gpu),
        _command("Confirm:", f"autotune confirm {made.recommendation_id}"),
        _report_line(made.recommendation_id),
        *remarks,
    )


# Choices beside the best: each gives up some of the objective for speed to the single user.
_MOST_ALTERNATIVES: Final = 3
_RATHER: Final = "faster"


def _alternatives(made: Recommendation) -> list[Text | Padding]:
    """Return the smaller formats that bring most, a line each; what the best of them leave out."""
    told = sorted(made.alternatives, key=lambda one: -one.gain)[:_MOST_ALTERNATIVES]
    if not told:
        return []
    return [
        Text("\nWhat else would pay:", style="bold"),
        *(
            _bullet(
                f"{one.name}: {one.gain:+.0%} ({one.gain_low:+.0%} to {one.gain_high:+.0%}), "
                f"{one.memory_freed_gb:.1f} GB a GPU freed; {one.remark}."
            )
            for one in told
        ),
    ]


def _bullet(text: str) -> Padding:
    """Return a sentence that hangs from a dash."""
    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column()
    grid.add_row("-", Text(text))
    return Padding(grid, 0)


_TARGETS: Final = (
    Column(name="", is_number=False),
    Column(name="GPU", is_number=False),
    Column(name="replicas", is_number=False),
    Column(name="batch", priority=2),
    Column(name="tok/s"),
    Column(name="90 % interval", priority=4),
    Column(name="tok/s/user", priority=3),
    Column(name="$/Mtok", priority=1),
    Column(name="J/Mtok", priority=6),
    Column(name="moving", priority=5, is_number=False),
    Column(name="autotune confirm", priority=7, is_number=False),
)


def comparison_view(made: Comparison) -> Group:
    """Return the best target in a line, a row for each target, and why others have none."""
    best, query = made.best, made.query
    work = query.workload
    table = FittedTable(_TARGETS)
    for one in made.answers:
        plan, move = one.best, one.migration
        joules = plan.energy_j_per_token
        table.add_row(
            "best" if one is best else "",
            one.target_gpu,
            plan_in_words(plan),
            str(plan.batch_size),
            f"{plan.total_output_throughput:,.0f}" + ("*" if plan.status == "measured" else ""),
            f"{plan.total_low:,.0f} - {plan.total_high:,.0f}",
            _number(plan.tok_s_per_user, 0),
            _number(plan.cost_per_mtok, 3),
            _number(None if joules is None else joules * 1e6, 0),
            "-" if move is None else f"{move.verdict} ({_share(move.gain)})",
            one.recommendation_id,
            style="bold" if one is best else "",
        )
    remarks = dict.fromkeys(remark for one in made.answers for remark in one.remarks)
    return Group(
        Text(f"{query.model}, {work.input_len}/{work.output_len} tokens:", style="bold"),
        Text(f"{best.target_gpu}: {headline(best.best, best.query)}.", style="bold"),
        table,
        *(_bullet(f"{refusal.target_gpu}: {refusal.reason}.") for refusal in made.refusals),
        Text(),
        *_deploy_lines(best.best, best.target_gpu),
        _command("Confirm:", f"autotune confirm {best.recommendation_id}"),
        *(Text(remark, style="dim") for remark in remarks),
    )


def _share(gain: float | None) -> str:
    return "unknown" if gain is None else f"{gain:+.0%}"


_MOVES: Final = (
    Column(name="", is_number=False),
    Column(name="engine", priority=4, is_number=False),
    Column(name="replicas", is_number=False),
    Column(name="batch"),
    Column(name="tok/s"),
    Column(name="90 % interval", priority=3),
    Column(name="tok/s/GPU", priority=5),
    Column(name="$/Mtok", priority=1),
    Column(name="J/Mtok", priority=2),
)


def migration_table(migration: Migration) -> FittedTable:
    """Return what is served before and after, of the plan and of a GPU."""
    title = f"{migration.source_gpu} to {migration.target_gpu}: {migration.verdict}"
    table = FittedTable(_MOVES, title=title)
    for label, side in (("before", migration.before), ("after", migration.after)):
        joules = side.energy_j_per_token
        table.add_row(
            label,
            *_cells(side, ())[:6],
            _number(side.cost_per_mtok, 3),
            _number(None if joules is None else joules * 1e6, 0),
        )
    return table


def _asked(query: Query) -> tuple[Column, ...]:
    """Return the further columns."""
    limits = (_WITHIN,) if query.slo.is_set else ()
    cost = (_COST,) if query.prices else ()
    return (*limits, *cost, *((_ENERGY,) if query.objective == "energy" else ()))


def _baselines(made: Recommendation) -> Iterable[tuple[str, Candidate]]:
    if made.keep_source is not None:
        yield "keep source", made.keep_source
    yield "largest", made.baselines["largest"]
    yield "most popular", made.baselines["most_popular"]


def _cells(candidate: Candidate, asked: Iterable[Column]) -> list[str]:
    further = {
        _WITHIN: f"{candidate.p_within_limits:.0%}",
        _COST: _number(candidate.cost_per_mtok, 3),
        _ENERGY: _number(candidate.energy_j_per_token, 3),
    }
    return [
        candidate.engine,
        plan_in_words(candidate),
        str(candidate.batch_size),
        f"{candidate.total_output_throughput:,.0f}"
        + ("*" if candidate.status == "measured" else ""),
        f"{candidate.total_low:,.0f} - {candidate.total_high:,.0f}",
        f"{candidate.output_throughput_per_gpu:,.0f}",
        _number(candidate.tok_s_per_user, 0),
        _number(candidate.ttft_ms, 0),
        _number(candidate.tpot_ms, 1),
        f"{candidate.memory_gb:.1f}",
        "yes" if candidate.can_run else "no",
        *(further[column] for column in asked),
    ]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


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
    deploy = [] if made.winner is None else _deploy_lines(made.winner, gpu)
    report = _report_line(made.recommendation.recommendation_id)
    return Group(table, Text(made.summary), Text(), *deploy, report)


def _deploy_lines(candidate: Candidate, gpu: str) -> list[Text | Padding]:
    """Return the line to deploy by, how often it is started, and what was measured otherwise."""
    beneath = (how_often(candidate, gpu), candidate.measured_otherwise)
    return [
        _command("Deploy: ", candidate.command, style="cyan"),
        *(Padding(Text(text, style="dim"), (0, 0, 0, 9)) for text in beneath if text),
    ]


def _report_line(recommendation_id: str) -> Text:
    return _command("Report: ", f"autotune report {recommendation_id} --output report.html")


def _command(label: str, line: str, style: str = "") -> Text:
    """Return a line to copy, which no break of ours cuts."""
    text = Text(f"{label} ", style="bold", no_wrap=True, overflow="ignore", end="\n")
    return text.append(Text(line, style=style or "not bold"))


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
