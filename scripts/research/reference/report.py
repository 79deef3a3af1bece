"""The reference ledger as Markdown."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Final

from research.reference.ledger import Aim, aims
from research.reference.left_out import LeftOut
from research.reference.proof import RUNS, SOURCE_GPU, TPE_SEEDS, Fit, Proof
from research.reference.stopping import Stopping

LEFT_OUT_AIM: Final = 0.08
_REMARKS: Final = (
    "Predicted, interval (90 %) and realised are of the recommended batch size, tok/s; realised in "
    "brackets where it lies outside the interval.",
    "Regret is the throughput given up against the best measured of the landscape.",
    "Error is the median of |predicted / measured - 1|, covered the share inside the interval: "
    "before, of all configurations; after, of those not run.",
    "Bound is the certificate's 90 % bound on the regret after 3 runs, in brackets where it did "
    "not hold.",
    f"Keep is the regret of the batch size predicted to be the best on one {SOURCE_GPU}.",
    "The winner of confirmatory runs is the smallest batch size within 2 % of their best.",
    "A dash: that configuration was not measured.",
)
_TIME_REMARKS: Final = (
    "From the engine starts and measuring times of the same runs, a warm-up pass added to each.",
    "Ours: 3 runs, one engine start a GPU count tried. Against n starts for n configurations, one "
    "start saves less than a factor of n.",
    f"TPE: Optuna's in one session, stopped by an oracle once it has found what our 3 runs found; "
    f"mean of {TPE_SEEDS} seeds. It cannot know by itself when to stop.",
)

_STOPPING_REMARK: Final = (
    f"Confirmations of at most {RUNS} runs that end once the certificate's 90 % bound on the "
    "regret is under `--stop-regret`; 0 spends all runs. Times fewer GPU-minutes than restarting a "
    "grid. No source GPU was named: where one is, the configuration kept from it is run too."
)
_TAUGHT: Final = (
    "Taught: fitted to the published runs, then taught the other models' reference runs as "
    "`autotune train` does, and they are known, as in the store of a clone."
)
_ANEW: Final = "Anew: fitted to published and reference runs at once, nothing known."


def markdown(
    proofs: Mapping[str, Sequence[Proof]],
    left_out: Sequence[LeftOut] = (),
    stopping: Mapping[str, Sequence[Stopping]] | None = None,
) -> str:
    """Return the ledger.

    Args:
        proofs: Surrogate -> its proofs.
        stopping: Surrogate -> its confirmations that stop early.
    """
    weights = sorted({proof.weights for found in proofs.values() for proof in found})
    what = f"All runs: closed batches, {', '.join(weights)} weights."
    parts = ["# Advice held against measured landscapes", _listed([what, *_REMARKS])]
    for name, found in proofs.items():
        parts += [f"## Surrogate: {name}", _advice_table(found), _aims_table(aims(found))]
    first = next(iter(proofs))
    parts += [f"## GPU-minutes ({first})", _time_table(proofs[first]), _listed(_TIME_REMARKS)]
    for name, found_early in (stopping or {}).items():
        parts += [f"## Stopping early ({name})", _stopping_table(found_early), _STOPPING_REMARK]
    if left_out:
        parts += ["## One model left out at a time", _left_out_table(left_out)]
    return "\n\n".join(parts) + "\n"


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _listed(remarks: Sequence[str]) -> str:
    return "\n".join(f"- {remark}" for remark in remarks)


def percent(value: float | None) -> str:
    """Return a share as text, a dash where there is none."""
    return "-" if value is None else f"{value:.1%}"


def _advice_table(proofs: Sequence[Proof]) -> str:
    header = ["landscape", "in/out", "batch", "predicted", "interval", "realised", "regret"]
    header += ["keep", "after 3: batch", "regret", "bound", "error", "covered"]
    header += ["error after 3", "covered"]
    return table(header, [_advice_row(proof) for proof in proofs])


def _advice_row(p: Proof) -> list[str]:
    realised = "-" if p.realised is None else f"{p.realised:,.0f}"
    bound = f"{p.regret_bound90:.1%}"
    return [
        p.journal,
        f"{p.input_len}/{p.output_len}",
        _place(p.n_gpus, p.batch_size),
        f"{p.predicted:,.0f}",
        f"{p.low:,.0f} - {p.high:,.0f}",
        realised if p.is_covered in (True, None) else f"({realised})",
        percent(p.regret),
        percent(p.kept_regret),
        _place(p.winner_n_gpus, p.winner_batch_size),
        percent(p.regret_after),
        bound if p.is_bound_held else f"({bound})",
        percent(p.before.error),
        f"{p.before.coverage:.0%}",
        percent(p.after.error),
        f"{p.after.coverage:.0%}",
    ]


def _place(n_gpus: int, batch_size: int) -> str:
    return str(batch_size) if n_gpus == 1 else f"{batch_size} on {n_gpus} GPUs"


def _time_table(proofs: Sequence[Proof]) -> str:
    header = ["landscape", "in/out", "3 runs", "grid, restarting", "times fewer"]
    header += ["grid, one session", "TPE", "TPE runs"]
    rows = [
        [
            p.journal,
            f"{p.input_len}/{p.output_len}",
            f"{p.gpu_minutes:.1f}",
            f"{p.restarted_gpu_minutes:.1f} ({p.configurations} starts)",
            f"{p.restarted_gpu_minutes / p.gpu_minutes:.1f}",
            f"{p.grid_gpu_minutes:.1f}",
            f"{p.tpe_gpu_minutes:.1f}",
            f"{p.tpe_runs:.1f}",
        ]
        for p in proofs
    ]
    return f"{table(header, rows)}\n\n{_pace(proofs)}"


def _pace(proofs: Sequence[Proof]) -> str:
    n = sum(p.configurations for p in proofs)
    once = sum(p.grid_gpu_minutes for p in proofs)
    restarting = sum(p.restarted_gpu_minutes for p in proofs)
    return (
        f"Measuring all {n} configurations: {n / once:.1f} a GPU-minute in a session a landscape, "
        f"{n / restarting:.1f} with a restart for each."
    )


def _stopping_table(found: Sequence[Stopping]) -> str:
    header = ["--stop-regret", "runs (mean)", "regret (mean)", "bound held"]
    header += ["times fewer (median)", "all together"]
    rows = [
        [
            f"{item.stop_regret:g}",
            f"{item.runs:.1f}",
            f"{item.regret:.2%}",
            f"{item.held:.1%}",
            f"{item.median_times_fewer:.1f}",
            f"{item.times_fewer:.1f}",
        ]
        for item in found
    ]
    return table(header, rows)


def _aims_table(found: Sequence[Aim]) -> str:
    return table(["over the landscapes", "found", "aim", "met"], [_aim_row(aim) for aim in found])


def _aim_row(aim: Aim) -> list[str]:
    if aim.value is None:
        return [aim.name, "-", aim.target, "-"]
    value = f"{aim.value:.1f}" if aim.name.startswith("times") else f"{aim.value:.1%}"
    return [aim.name, value, aim.target, "yes" if aim.is_met else "no"]


def _left_out_table(found: Sequence[LeftOut]) -> str:
    header = ["landscape", "in/out", "taught: error", "covered", "anew: error", "covered"]
    rows = [
        [
            item.journal,
            f"{item.input_len}/{item.output_len}",
            *(text for fit in (item.taught, item.anew) for text in _fit_row(fit)),
        ]
        for item in found
    ]
    return "\n\n".join(
        [
            "Runs of the model on any GPU left out, published ones too.",
            _listed(
                [
                    f"{_TAUGHT} {_medians([(item.gpu, item.taught) for item in found])}",
                    f"{_ANEW} {_medians([(item.gpu, item.anew) for item in found])}",
                ]
            ),
            table(header, rows),
        ]
    )


def _fit_row(fit: Fit) -> tuple[str, str]:
    return percent(fit.error), f"{fit.coverage:.0%}"


def _medians(found: Sequence[tuple[str, Fit]]) -> str:
    """Return the median error on each GPU beside its aim."""
    texts = []
    for gpu in sorted({gpu for gpu, _ in found}):
        median = statistics.median(fit.error for its, fit in found if its == gpu)
        texts.append(f"{gpu} {median:.1%}, {'met' if median <= LEFT_OUT_AIM else 'missed'}")
    return f"Median error, aim <= {LEFT_OUT_AIM:.0%}: {'; '.join(texts)}."
