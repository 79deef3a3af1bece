"""How irregular landscapes are: a sentence over all, a table with a line for each."""

from collections.abc import Sequence

from autotune.views.landscapes import Landscape, Steps, batch_steps, gpu_steps, local_maxima

FEWEST_CELLS = 2
_HEAD = (
    "| engine | model | GPU | tokens in/out | settings | measured | failed | best GPUs x batch "
    "| tok/s | local maxima | batch steps down | GPU steps down |"
)
_RULE = "|---|---|---|---|---|--:|--:|---|--:|--:|--:|--:|"


def landscape_table(lands: Sequence[Landscape]) -> str:
    """Return a line a landscape: its best configuration and how irregular it is."""
    return "\n".join([_HEAD, _RULE, *(_line(land) for land in lands)])


def _line(land: Landscape) -> str:
    best = land.best
    found = "-" if best is None else f"{best[0]} x {best[1]}"
    top = "-" if best is None else f"{land.cells[best]:,.1f}"
    tokens = f"{land.input_len or '?'}/{land.output_len or '?'}"
    settings = ", ".join(text for text in (land.mode, land.variant) if text)
    name = land.model.rpartition("/")[2]
    return (
        f"| {land.engine} | {name} | {land.gpu} | {tokens} | {settings} "
        f"| {len(land.cells)} | {land.n_failed} | {found} | {top} "
        f"| {len(local_maxima(land.cells))} | {_share(batch_steps(land.cells))} "
        f"| {_share(gpu_steps(land.cells))} |"
    )


def irregularity(lands: Sequence[Landscape]) -> str:
    """Return a sentence on how many landscapes rise and fall more than once."""
    drawn = [land for land in lands if len(land.cells) >= FEWEST_CELLS]
    if not drawn:
        return f"{len(lands)} landscapes, none with two measured configurations."
    counts = [len(local_maxima(land.cells)) for land in drawn]
    batch = _sum([batch_steps(land.cells) for land in drawn])
    gpus = _sum([gpu_steps(land.cells) for land in drawn])
    return (
        f"{len(drawn)} landscapes with {sum(len(land.cells) for land in drawn)} measured "
        f"configurations: {sum(count > 1 for count in counts)} have more than one local maximum "
        f"({sum(counts) / len(counts):.1f} on average); {_share(batch)} of the steps to the next "
        f"batch size and {_share(gpus)} of those to more GPUs lower the throughput."
    )


def _sum(steps: Sequence[Steps]) -> Steps:
    return Steps(n=sum(s.n for s in steps), n_decreasing=sum(s.n_decreasing for s in steps))


def _share(steps: Steps) -> str:
    return f"{steps.n_decreasing / steps.n:.0%}" if steps.n else "-"
