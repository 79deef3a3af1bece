"""Blocks of the model card: every line of the backtests."""

from collections.abc import Iterator
from itertools import groupby

from research.accuracy.published_blocks import DIRECTIONS, PAPER_GPUS, Row
from research.accuracy.results import Results
from research.accuracy.wording import listed, percent, table

# Methods in the card's order, and after how many runs each is shown; None: a fixed choice.
_METHODS = {
    "ours": (0, 1, 3, 5),
    "keep": None,
    "largest": None,
    "most_popular": None,
    "random": (1,),
    "tpe": (1, 3, 5),
}


def migration(results: Results) -> str:
    """Every method of the paper's data under migration."""
    header = ["engine, direction", "method", "runs", "groups", "mean regret"]
    header += ["a failed choice falls to the next", "largest", "median error", "coverage of 90 %"]
    header += ["interval x/÷", "failed choices"]
    rows = results.figures("migration")["rows"]
    return table(header, [line for where in sorted(DIRECTIONS) for line in _lines(rows, where)])


def _lines(rows: list[Row], where: tuple[str, str, str]) -> Iterator[list[str]]:
    engine, source, target = where
    for method, runs in _METHODS.items():
        for n in runs or (0,):
            row = next(
                r
                for r in rows
                if (r["engine"], r.get("source_gpu"), r["target_gpu"]) == where
                and (r["method"], r["runs"]) == (method, n)
            )
            yield [
                f"{engine}, {source} to {target}",
                method,
                "any" if runs is None else str(n),
                str(row["groups"]),
                percent(row["regret_mean"]),
                _given(row, "regret_next_mean"),
                percent(row["regret_max"]),
                *_fit(row),
                percent(row["failed_choice_rate"]),
            ]


def unseen_gpus(results: Results) -> str:
    """Every GPU hidden, vLLM."""
    header = ["target", "from", "groups", "mean regret", "median error", "coverage of 90 %"]
    header += ["interval x/÷", "error after 3 runs", "coverage", "interval"]
    rows = [row for row in results.figures("leave-gpu-out")["rows"] if row["method"] == "ours"]
    rows.sort(key=_place)
    lines = []
    for (target, source), group in groupby(rows, key=_place):
        blind, *later = sorted(group, key=lambda row: int(row["runs"]))
        after = next(row for row in later if row["runs"] == 3)
        figures = [str(blind["groups"]), percent(blind["regret_mean"]), *_fit(blind), *_fit(after)]
        lines.append([target, source, *figures])
    return table(header, lines)


def _place(row: Row) -> tuple[str, str]:
    return str(row["target_gpu"]), str(row.get("source_gpu", "no other"))


def unseen_models(results: Results) -> str:
    """Every model hidden, on the paper's GPUs."""
    header = ["engine, target", "runs", "groups", "mean regret", "median error"]
    header += ["coverage of 90 %", "interval x/÷", "failed choices"]
    rows = [
        row
        for row in results.figures("leave-model-out")["rows"]
        if row["method"] == "ours" and row["runs"] in (0, 3) and row["target_gpu"] in PAPER_GPUS
    ]
    rows.sort(key=lambda row: (row["engine"], row["target_gpu"], row["runs"]))
    return table(
        header,
        [
            [
                f"{row['engine']}, {row['target_gpu']}",
                str(row["runs"]),
                str(row["groups"]),
                percent(row["regret_mean"]),
                *_fit(row),
                percent(row["failed_choice_rate"]),
            ]
            for row in rows
            if row["engine"] in ("vllm", "hf")
        ],
    )


def related(results: Results) -> str:
    """What the other models' reference runs add."""
    known = results.figures("ledger")["related"]
    text = {name: percent(value) for name, value in known.items()}
    regrets = [text["regret, 0 runs (mean)"], text["regret, 3 runs (mean)"]]
    inside = [text["coverage before (mean)"], text["coverage after 3 runs (mean)"]]
    return (
        f"error before {text['error before (median)']}, after three runs "
        f"{text['error after 3 runs (median)']}, mean regret {listed(regrets)}, coverage "
        f"{listed(inside)}, the bound held on {text['90 % regret bound held (mean)']}"
    )


def _fit(row: Row) -> list[str]:
    width = f"{row['interval_factor']:.2f}" if "interval_factor" in row else ""
    return [_given(row, "ape_median"), _given(row, "coverage90"), width]


def _given(row: Row, name: str) -> str:
    return percent(row[name]) if name in row else ""
