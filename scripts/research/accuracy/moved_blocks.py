"""Blocks on what moved when `autotune evaluate` began to score the rule that is shipped."""

from collections.abc import Sequence

from research.accuracy.published_blocks import (
    CERTIFICATES,
    DIRECTIONS,
    PAPER_GPUS,
    Row,
    direction,
    row_of,
)
from research.accuracy.results import Figures, Results
from research.accuracy.wording import ENGINES, number, percent, table

_RUNS = (0, 1, 3, 5)


def _both(results: Results, protocol: str) -> list[tuple[str, Figures]]:
    former: Figures = results.figures("former")[protocol]
    return [("before", former), ("now", results.figures(protocol))]


def migration(results: Results) -> str:
    """Mean regret under migration by number of runs."""
    rows = [
        [direction(*where), when]
        + [percent(row_of(found["rows"], where, "ours", n)["regret_mean"]) for n in _RUNS]
        for where in DIRECTIONS
        for when, found in _both(results, "migration")
    ]
    return table(["mean regret, migration", "", *(_runs(n) for n in _RUNS)], rows)


def unseen(results: Results) -> str:
    """Mean regret where the whole model, or the whole GPU, is hidden."""
    rows = [
        [f"the whole model: {ENGINES[engine]}, {name}", when]
        + [percent(_regret(_at(found["rows"], engine, gpu), n)) for n in (0, 3)]
        for engine in ENGINES
        for gpu, name in PAPER_GPUS.items()
        for when, found in _both(results, "leave-model-out")
    ]
    rows += [
        ["the whole GPU: vLLM, all GPUs", when, percent(_regret(found["rows"], 0)), "-"]
        for when, found in _both(results, "leave-gpu-out")
    ]
    return table(["mean regret, hidden", "", "0 runs", "3 runs"], rows)


def certificates(results: Results) -> str:
    """How often the bound held."""
    rows = []
    for protocol in CERTIFICATES:
        for when, found in _both(results, protocol):
            held = [percent(found["certificate"][n]["held"], 0) for n in ("1", "3", "5")]
            rows.append([protocol, when, str(found["certificate"]["1"]["landscapes"]), *held])
    header = ["certificate held", "", "landscapes", *(_runs(n) for n in (1, 3, 5))]
    return table(header, rows)


def gain(results: Results) -> str:
    """The paper's gain."""
    rows = []
    former = results.figures("former")["paper"]
    for item in results.figures("paper")["directions"]:
        name = direction(item["engine"], item["origin"], item["target"])
        for when, own in (("before", former[name]), ("now", item["gain"])):
            rows.append([name, when, *(f"{number(own[n])} %" for n in ("0", "3", "5"))])
    return table(["gain over the kept configuration", "", *map(_runs, (0, 3, 5))], rows)


def _runs(n: int) -> str:
    return "1 run" if n == 1 else f"{n} runs"


def _at(rows: Sequence[Row], engine: str, gpu: str) -> list[Row]:
    return [row for row in rows if (row["engine"], row["target_gpu"]) == (engine, gpu)]


def _regret(rows: Sequence[Row], runs: int) -> float:
    """Return the mean over landscapes."""
    ours = [row for row in rows if (row["method"], row["runs"]) == ("ours", runs)]
    return float(sum(r["groups"] * r["regret_mean"] for r in ours) / sum(r["groups"] for r in ours))
