"""Blocks on what was metered and served, and on another tool beside ours."""

from typing import Final

from research.accuracy.results import Figures, Results
from research.accuracy.wording import number, paragraph, percent, spread, table

_REPLICAS_SHOWN: Final = (1, 8, 32, 64, 128, 256)
_REPLICAS_MODELS: Final = {
    "Mistral-7B-v0.1": "Mistral-7B",
    "CodeLlama-13b-hf": "CodeLlama-13b",
    "gemma-2b": "gemma-2b",
}


def energy_output(results: Results) -> str:
    """The last line of scripts/evaluate_energy.py."""
    found = results.figures("energy")
    line = (
        f"median={found['median']:.4f} after_three={found['after_three']:.4f} "
        f"runs={found['runs']:.0f}"
    )
    return f"```text\n{line}\n```"


def energy(results: Results) -> str:
    """How far off the energy roofline is."""
    found = results.figures("energy")
    return paragraph(
        "Joules a token are physics: the energy roofline, constants from the literature. On this "
        f"project's {found['runs']:.0f} metered H200 and H100 runs, to which nothing was fitted, "
        f"the median error is {percent(found['median'], 0)}, and "
        f"{percent(found['after_three'], 0)} for the rest of a landscape once three of its runs "
        "are known."
    )


def replicas(results: Results) -> str:
    """Two replicas beside one over both GPUs."""
    loads = results.figures("replicas")["loads"]
    found = {(load["model"], load["in_flight"]): load for load in loads}
    header = ["in flight"]
    for name in _REPLICAS_MODELS.values():
        header += [f"{name}, 2 replicas", "over both"]
    rows = [
        [str(n), *(cell for model in _REPLICAS_MODELS for cell in _pair(found[(model, n)]))]
        for n in _REPLICAS_SHOWN
    ]
    return table(header, rows, align="r" * len(header))


def _pair(load: Figures) -> list[str]:
    pair = [load["replicas"], load["over_all"]]
    texts = [number(value, 0) for value in pair]
    return [f"**{t}**" if v == max(pair) else t for t, v in zip(texts, pair, strict=True)]


def replicas_predicted(results: Results) -> str:
    """How often the faster way was named."""
    loads = results.figures("replicas")["loads"]
    wrong = [load["lost"] for load in loads if not load["is_right"]]
    cost = f"; where it does not, its choice costs {spread(wrong, 0)}"
    return paragraph(
        "The shipped surrogate, with nothing known of the models, names the faster way in "
        f"{len(loads) - len(wrong)} of the {len(loads)} loads measured{cost if wrong else ''} "
        "([all of them](../mlruns/reference/ledger/replicas.md))."
    )


def aiconfigurator(results: Results) -> str:
    """Our errors beside aiconfigurator's."""
    found = results.figures("aiconfigurator")
    return paragraph(
        f"On the [{found['cells']} cells](../mlruns/reference/ledger/aiconfigurator.md) of the "
        f"reference runs that its version {found['version']} supports, our median error is "
        f"{percent(found['ours'])}, its {percent(found['theirs'])}. Of the cells not among our "
        f"three runs ours is {percent(found['ours_after'])} after them, its "
        f"{percent(found['theirs_after'])}."
    )
