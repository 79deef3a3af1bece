"""A recommendation as a document: asked, answered, why, the proof, how to deploy and repeat it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autotune.runner.environment import snapshot
from autotune.schema.record import RunRecord, short_name
from autotune.schema.workload import describe_limits
from autotune.views.pages.document import Block, Document, code, inline, section, table
from autotune.views.pages.html import markdown, render_fragment
from autotune.views.study_report import environment_table
from autotune.views.wording import number, speed
from recommender.confirmation.result import Confirmation
from recommender.features.roofline import BOTTLENECKS
from recommender.recommendation.candidates import Candidate
from recommender.recommendation.explanation import headline
from recommender.recommendation.plans import plan_in_words
from recommender.recommendation.query import recommend_line
from recommender.recommendation.recommendation import Recommendation
from recommender.reports import ledger
from recommender.reports.attribution import Explanation
from recommender.reports.charts import advice_figures, proof_figures
from recommender.reports.deploying import deployment
from recommender.reports.tracking import confirmation_table
from recommender.surrogate.in_force import version_in_force

Confirmed = Mapping[str, Any]


def advice_document(
    explanation: Explanation,
    known: Sequence[RunRecord],
    directory: Path,
    *,
    with_tpe: bool = False,
) -> Document:
    """Return the report of a saved recommendation with what came of it since.

    Args:
        known: Runs of its model.
        directory: The store's own, where confirmations lie.
        with_tpe: Whether a confirmation is drawn beside replayed studies of Optuna's TPE.
    """
    made = explanation.recommendation
    confirmed = last_confirmation(made, directory)
    winner = None if confirmed is None else confirmed["winner"]
    landscape, *figures = advice_figures(made, winner, known)
    blocks = [
        _headline(made, confirmed),
        *section("What was asked", _asked(made)),
        *section("The answer", landscape, _candidates(made), *_migration(made)),
        *section("Why", *_why(explanation), *figures),
        *section("Proof", *_proof(made, confirmed, known, with_tpe=with_tpe)),
        *section("How to deploy it", deployment(made, confirmed, known)),
        *section("How to repeat it", _repeat(made)),
        *section("Environment", _environment(made, directory, known)),
    ]
    title = f"{short_name(made.query.model)} on {made.target_gpu}: recommendation"
    return Document(title=f"{title} {made.recommendation_id}", blocks=tuple(blocks))


def recommendation_html(made: Recommendation) -> str:
    """Return what a notebook shows of a recommendation."""
    return render_fragment(advice_excerpt(made))


def confirmation_html(proof: Confirmation) -> str:
    """Return what a notebook shows of a confirmation."""
    return markdown(f"**{inline(proof.summary)}**\n\n{confirmation_table(proof.to_dict())}")


def advice_excerpt(made: Recommendation) -> Document:
    """Return what fits a notebook: the answer, its landscape, its reasons, how to deploy it."""
    blocks: list[Block] = [
        _headline(made, None),
        *advice_figures(made)[:1],
        _candidates(made),
        _reasons(made),
        code(made.best.command, "sh"),
    ]
    return Document(title=f"Recommendation {made.recommendation_id}", blocks=tuple(blocks))


def last_confirmation(made: Recommendation, directory: Path) -> Confirmed | None:
    """Return what is kept of the latest confirmation of a recommendation."""
    found = [
        document
        for document in ledger.load_confirmations(directory)
        if document["recommendation_id"] == made.recommendation_id
    ]
    return found[-1] if found else None


def _headline(made: Recommendation, confirmed: Confirmed | None) -> str:
    answer = f"{headline(made.best, made.query)}."
    if confirmed is None:
        return f"**Recommended: {answer}**\n\nNot confirmed by runs yet."
    return f"**{inline(confirmed['summary'])}**\n\nRecommended was: **{answer}**"


def _asked(made: Recommendation) -> str:
    query, work = made.query, made.query.workload
    facts = {
        "model": inline(query.model),
        "target GPU": made.target_gpu,
        "source GPU": query.source_gpu or "",
        "engines": ", ".join(query.engines),
        "GPUs to spend": str(query.max_gpus),
        "largest batch size": str(query.max_batch_size),
        "requests": f"{work.input_len} prompt and {work.output_len} generated tokens, {work.mode}",
        "dtype": query.dtype,
        "quantization": query.quantization or "",
        "objective": query.objective,
        "latency limits": describe_limits(query.slo),
        "prices ($ an hour of a GPU)": ", ".join(f"{g}: {p:g}" for g, p in query.prices.items()),
        "given up for fewer GPUs or a smaller batch": f"{query.tolerance:.0%}",
        "asked at": made.created_at.replace("T", " ")[:19] + " UTC",
    }
    remarks = "".join(f"\n\n{inline(remark)}." for remark in made.remarks)
    return table(("setting", "value"), [(k, v) for k, v in facts.items() if v]) + remarks


_HEAD = ("choice", "engine", "replicas", "batch", "tok/s", "90 % interval", "tok/s/GPU",
         "tok/s/user", "TTFT ms", "TPOT ms", "GB/GPU", "J/Mtok", "$/Mtok", "runs",
         "known by")  # fmt: skip


def _candidates(made: Recommendation) -> str:
    choices = made.frontier or made.candidates
    ranked = [("best" if i == 0 else str(i + 1), c) for i, c in enumerate(choices)]
    if made.keep_source is not None:
        ranked.append(("keep source", made.keep_source))
    ranked += [(name.replace("_", " "), c) for name, c in made.baselines.items()]
    rows = [(label, *_cells(candidate)) for label, candidate in ranked]
    return table(_HEAD, rows, numbers=range(3, 13))


def _cells(c: Candidate) -> tuple[str, ...]:
    joules = None if c.energy_j_per_token is None else c.energy_j_per_token * 1e6
    return (
        c.engine,
        plan_in_words(c),
        str(c.batch_size),
        speed(c.total_output_throughput),
        f"{speed(c.total_low)} - {speed(c.total_high)}",
        speed(c.output_throughput_per_gpu),
        number(c.tok_s_per_user, 0),
        number(c.ttft_ms, 0),
        number(c.tpot_ms, 1),
        f"{c.memory_gb:.1f}",
        number(joules, 0),
        number(c.cost_per_mtok, 3),
        "yes" if c.can_run else "no",
        c.status,
    )


def _migration(made: Recommendation) -> list[str]:
    move = made.migration
    if move is None:
        return []
    rows = [
        (name, *_cells(side)[:6]) for name, side in (("before", move.before), ("after", move.after))
    ]
    text = f"{move.source_gpu} to {move.target_gpu}: **{move.verdict}**. {inline(move.reason)}"
    return [text, table(_HEAD[:7], rows, numbers=range(2, 7))]


def _reasons(made: Recommendation) -> str:
    """Return why as a list; of a document from before there were any, as it was said."""
    if not made.reasons:
        return inline(made.explanation)
    return "\n".join(f"- {inline(reason)}" for reason in made.reasons)


def _why(explanation: Explanation) -> list[str]:
    causes = [name.replace("_", " ") for name in BOTTLENECKS]
    rows = [
        (
            a.candidate.engine,
            f"{a.candidate.n_gpus} x {a.candidate.batch_size}",
            *(f"{a.shares[cause]:.0%}" for cause in BOTTLENECKS),
        )
        for a in explanation.accounts
    ]
    head = ("engine", "GPUs x batch", *causes)
    return [
        _reasons(explanation.recommendation),
        *(inline(warning) for warning in explanation.further_warnings),
        "Share of the time by cause:",
        table(head, rows, numbers=range(2, len(head))),
    ]


def _proof(
    made: Recommendation,
    confirmed: Confirmed | None,
    known: Sequence[RunRecord],
    *,
    with_tpe: bool,
) -> list[Block]:
    if confirmed is None:
        return [
            "No confirmatory run was made. Three runs on the target narrow the interval and bound "
            "what the answer can miss:",
            code(f"autotune confirm {made.recommendation_id}", "sh"),
        ]
    return [
        "The runs in their order, each beside what was predicted just before it:",
        confirmation_table(confirmed),
        *proof_figures(made, confirmed, known, with_tpe=with_tpe),
    ]


def _repeat(made: Recommendation) -> str:
    lines = [
        recommend_line(made.query),
        f"autotune confirm {made.recommendation_id}",
        f"autotune report {made.recommendation_id} --output report.html",
    ]
    return code("\n".join(lines), "sh")


def _environment(made: Recommendation, directory: Path, known: Sequence[RunRecord]) -> str:
    version = version_in_force(directory)
    versions = sorted({f"{r.engine} {r.engine_version}" for r in known if r.engine_version})
    facts = {
        **snapshot(),
        "surrogate": "shipped" if version is None else f"version {version} of this store",
        "known runs of the model when asked": made.n_known_runs,
        "measured with": ", ".join(versions) or "nothing yet",
    }
    return environment_table(facts)
