"""Recommendations as terminal tables: one target's, several beside each other, before and after."""

from collections.abc import Iterable
from typing import Final

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from autotune.views.fitted_table import Column, FittedTable
from autotune.views.wording import number, speed
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.comparison import Comparison
from recommender.recommendation.explanation import headline
from recommender.recommendation.migration import Migration
from recommender.recommendation.plans import plan_in_words
from recommender.recommendation.query import Query
from recommender.recommendation.recommendation import Recommendation
from recommender.reports.lines import bullet, command_line, deploy_lines, report_line

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
        *(bullet(reason) for reason in made.reasons or (made.explanation,)),
        *_alternatives(made),
        Text(),
        *deploy_lines(made.best, made.target_gpu),
        command_line("Confirm:", f"autotune confirm {made.recommendation_id}"),
        report_line(made.recommendation_id),
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
            bullet(
                f"{one.name}: {one.gain:+.0%} ({one.gain_low:+.0%} to {one.gain_high:+.0%}), "
                f"{one.memory_freed_gb:.1f} GB a GPU freed; {one.remark}."
            )
            for one in told
        ),
    ]


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
            speed(plan.total_output_throughput) + ("*" if plan.status == "measured" else ""),
            f"{speed(plan.total_low)} - {speed(plan.total_high)}",
            number(plan.tok_s_per_user, 0),
            number(plan.cost_per_mtok, 3),
            number(None if joules is None else joules * 1e6, 0),
            "-" if move is None else f"{move.verdict} ({_share(move.gain)})",
            one.recommendation_id,
            style="bold" if one is best else "",
        )
    remarks = dict.fromkeys(remark for one in made.answers for remark in one.remarks)
    return Group(
        Text(f"{query.model}, {work.input_len}/{work.output_len} tokens:", style="bold"),
        Text(f"{best.target_gpu}: {headline(best.best, best.query)}.", style="bold"),
        table,
        *(bullet(f"{refusal.target_gpu}: {refusal.reason}.") for refusal in made.refusals),
        Text(),
        *deploy_lines(best.best, best.target_gpu),
        command_line("Confirm:", f"autotune confirm {best.recommendation_id}"),
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
            number(side.cost_per_mtok, 3),
            number(None if joules is None else joules * 1e6, 0),
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
        _COST: number(candidate.cost_per_mtok, 3),
        _ENERGY: number(candidate.energy_j_per_token, 3),
    }
    return [
        candidate.engine,
        plan_in_words(candidate),
        str(candidate.batch_size),
        speed(candidate.total_output_throughput) + ("*" if candidate.status == "measured" else ""),
        f"{speed(candidate.total_low)} - {speed(candidate.total_high)}",
        speed(candidate.output_throughput_per_gpu),
        number(candidate.tok_s_per_user, 0),
        number(candidate.ttft_ms, 0),
        number(candidate.tpot_ms, 1),
        f"{candidate.memory_gb:.1f}",
        "yes" if candidate.can_run else "no",
        *(further[column] for column in asked),
    ]
