"""Figures of the README: its table, and single numbers within sentences."""

from collections.abc import Mapping
from typing import Final

from research.accuracy.blocks import Renderer
from research.accuracy.published_blocks import row_of
from research.accuracy.reference_blocks import aim_of
from research.accuracy.results import Figures, Results
from research.accuracy.wording import number, percent, table

_FEWER: Final = "times fewer GPU-minutes than restarting a grid (median)"
# Name in the ledger's summary, in the README, the aim there.
_ROWS: Final = (
    ("regret, 0 runs (mean)", "throughput lost without a run (mean)", "2 %"),
    ("regret, 3 runs (mean)", "after three runs (mean)", "0.5 %"),
    ("error before (median)", "error without a run (median)", "15 %"),
    ("coverage before (mean)", "90 % intervals cover", "85-95 %"),
    ("90 % regret bound held (mean)", "the bound that a confirmation ends with held", "90 %"),
    (_FEWER, "fewer GPU-minutes than a grid (median)", "10 times"),
)


def how_good(results: Results) -> str:
    """The table of how good it is."""
    return table(["", "found", "aim"], [_row(results, *row) for row in _ROWS], align=" rr")


def _row(results: Results, name: str, text: str, target: str) -> list[str]:
    aim = aim_of(results, name)
    found = f"{number(aim['value'])} times" if name == _FEWER else percent(aim["value"])
    return [text, found, target if aim["is_met"] else f"{target}: {_miss(name, aim)}"]


def _miss(name: str, aim: Figures) -> str:
    if name.startswith("coverage"):
        return "too wide" if aim["value"] > 0.9 else "too narrow"
    return "missed"


def _aim(name: str) -> Renderer:
    return lambda results: _share(aim_of(results, name)["value"])


def _regret(engine: str, method: str) -> Renderer:
    def of(results: Results) -> str:
        where = (engine, "A100-40GB", "V100-32GB")
        rows = results.figures("migration")["rows"]
        return _share(row_of(rows, where, method, 0)["regret_mean"])

    return of


def _share(value: float) -> str:
    return number(100 * value)


# Within sentences, the unit outside.
NUMBERS: Final[Mapping[str, Renderer]] = {
    "landscapes": lambda results: str(results.figures("ledger")["landscapes"]),
    "regret-blind": _aim("regret, 0 runs (mean)"),
    "regret-confirmed": _aim("regret, 3 runs (mean)"),
    "times-fewer": lambda results: number(aim_of(results, _FEWER)["value"]),
    "error-blind": _aim("error before (median)"),
    "error-related": lambda r: _share(r.figures("ledger")["related"]["error before (median)"]),
    "kept-vllm": _regret("vllm", "keep"),
    "kept-hf": _regret("hf", "keep"),
    "moved-vllm": _regret("vllm", "ours"),
    "moved-hf": _regret("hf", "ours"),
    "aic-version": lambda results: str(results.figures("aiconfigurator")["version"]),
    "aic-error": lambda results: _share(results.figures("aiconfigurator")["theirs"]),
    "aic-ours": lambda results: _share(results.figures("aiconfigurator")["ours"]),
    "aic-cells": lambda results: str(results.figures("aiconfigurator")["cells"]),
}
