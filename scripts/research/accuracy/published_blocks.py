"""Blocks on the backtests of published runs, and on their certificates."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from research.accuracy.results import Results
from research.accuracy.wording import (
    ENGINES,
    counted,
    paragraph,
    percent,
    spread,
    table,
)

Row = Mapping[str, Any]

PAPER_GPUS: Final = {"A100-40GB": "A100", "V100-32GB": "V100"}
# Engine, source, target, in the order of the page.
DIRECTIONS: Final = (
    ("vllm", "A100-40GB", "V100-32GB"),
    ("vllm", "V100-32GB", "A100-40GB"),
    ("hf", "A100-40GB", "V100-32GB"),
    ("hf", "V100-32GB", "A100-40GB"),
)
# Its software of 2024 is unlike any other that was seen.
UNLIKE: Final = "Max1550"
CERTIFICATES: Final = {
    "migration": "the model on the target (migration; its width was chosen on these)",
    "leave-gpu-out": "the whole GPU, vLLM",
    "leave-model-out": "the whole model",
}
RUNS: Final = (1, 3, 5)


def direction(engine: str, source: str, target: str) -> str:
    """Return a direction as the tables name it."""
    return f"{ENGINES[engine]}, {PAPER_GPUS[source]} to {PAPER_GPUS[target]}"


def row_of(rows: Iterable[Row], where: Sequence[str], method: str, runs: int) -> Row:
    """Return the row of a method in one direction of the migration."""
    place = tuple(where)
    return next(
        row
        for row in rows
        if (row["engine"], row.get("source_gpu"), row["target_gpu"]) == place
        and (row["method"], row["runs"]) == (method, runs)
    )


def migration(results: Results) -> str:
    """The paper's data, the model's runs on the target hidden."""
    rows = results.figures("migration")["rows"]
    header = ["", "keep the source's configuration", "ours, 0 runs", "ours, 3 runs"]
    header += ["ours, 5 runs", "Optuna TPE, 3 runs", "error of throughput (median)"]
    header += ["90 % interval covers"]
    lines = []
    for where in DIRECTIONS:
        first = row_of(rows, where, "ours", 0)
        chosen = [("keep", 0), ("ours", 0), ("ours", 3), ("ours", 5), ("tpe", 3)]
        regrets = [row_of(rows, where, *each)["regret_mean"] for each in chosen]
        figures = [*regrets, first["ape_median"], first["coverage90"]]
        lines.append([direction(*where), *map(percent, figures)])
    return table(header, lines)


def failures(results: Results) -> str:
    """The choices that fail on their target."""
    rows = results.figures("migration")["rows"]
    ours, kept, choices, remarks = 0, 0, 0, []
    for where in DIRECTIONS:
        first, keep = (row_of(rows, where, method, 0) for method in ("ours", "keep"))
        failed = round(first["failed_choice_rate"] * first["groups"])
        ours, choices = ours + failed, choices + first["groups"]
        kept += round(keep["failed_choice_rate"] * keep["groups"])
        if failed:
            remarks.append(f"{direction(*where)}: {percent(first['regret_next_mean'])}")
    text = (
        f"Failed on their target, which counts 100 %: {ours} of {choices} choices without a run, "
    )
    text += f"{kept} of the kept configurations."
    if not remarks:
        return paragraph(text)
    return paragraph(
        text, f"Where a failed choice falls to the next the regret is, {'; '.join(remarks)}."
    )


def unseen_gpus(results: Results) -> str:
    """A whole GPU hidden."""
    by_gpu: dict[str, list[Row]] = defaultdict(list)
    for row in results.figures("leave-gpu-out")["rows"]:
        if (row["method"], row["runs"]) == ("ours", 0):
            by_gpu[row["target_gpu"].partition("-")[0]].append(row)
    unlike = by_gpu.pop(UNLIKE)
    errors = [_weighted(rows, "ape_median") for rows in by_gpu.values()]
    inside = [_weighted(rows, "coverage90") for rows in by_gpu.values()]
    return paragraph(
        f"With a whole GPU hidden ({', '.join(sorted(by_gpu))} in turn, vLLM; "
        "`--protocol leave-gpu-out` on the published runs of the model card) the median error is "
        f"{percent(_mean(errors), 0)}, mean over the GPUs; the 90 % intervals cover "
        f"{percent(_mean(inside), 0)}. On hardware whose software is unlike any that was seen the "
        "intervals do not hold: Intel's Max 1550 in 2024 was three to four times slower than its "
        f"sheet says, and they cover {percent(_weighted(unlike, 'coverage90'), 0)}."
    )


def _weighted(rows: Sequence[Row], name: str) -> float:
    given = [row for row in rows if name in row]
    return float(sum(r["groups"] * r[name] for r in given) / sum(r["groups"] for r in given))


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def certificates(results: Results) -> str:
    """How often the bound held."""
    rows = []
    for protocol, text in CERTIFICATES.items():
        found = results.figures(protocol)["certificate"]
        held = [percent(found[str(runs)]["held"], 0) for runs in RUNS]
        rows.append([text, str(found["1"]["landscapes"]), *held])
    return table(["hidden", "landscapes", "after 1 run", "3 runs", "5 runs"], rows)


def bounds(results: Results) -> str:
    """How wide the certificates are, beside the real regret."""
    figures = results.figures("migration")
    rows, ranges = figures["rows"], figures.get("regret_bound90_range", {})
    found = {
        engine: [row_of(rows, where, "ours", 3) for where in DIRECTIONS if where[0] == engine]
        for engine in ENGINES
    }
    # Of the figures of 5547df1 only the ends are known, not each direction's.
    widths = {
        engine: ranges.get(engine) or [row["regret_bound90_median"] for row in own]
        for engine, own in found.items()
    }
    wide = [
        f"{spread(widths[engine], 0)} with {ENGINES[engine]}, where "
        f"the real regret is {spread(row['regret_mean'] for row in own)}"
        for engine, own in found.items()
    ]
    return paragraph(
        "It is wide rather than wrong: after 3 runs, on the paper's landscapes, its median is "
        f"{', and '.join(wide)}."
    )


def cells(results: Results) -> str:
    """Three cells of a landscape."""
    found = results.figures("cells")
    n = f" of {counted(int(found['landscapes']), 'landscape')}" if "landscapes" in found else ""
    return paragraph(
        "Three measured cells of a GPU count (two ends of one workload, the middle of another) "
        f"tell the rest of its landscape to {percent(found['ape_median'])} (median{n}, vLLM; "
        "`scripts/evaluate_cells.py TABLE`)."
    )
