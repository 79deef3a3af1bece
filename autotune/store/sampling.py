"""A sample of runs that has something of every landscape."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final

from autotune.schema.record import RunRecord
from autotune.schema.validation import OWN_SOURCE

# Holds every run that comes with a checkout, so that a store that has been opened and one that has
# not yet been give the same advice.
MOST_OWN: Final = 1200
MOST_OTHERS: Final = 600


def sample_of(runs: Sequence[RunRecord]) -> list[RunRecord]:
    """Return at most 1200 measured runs of this harness and 600 of all others.

    This harness's own are what predictions are corrected by unless a model's come from elsewhere.
    """
    own = [run for run in runs if run.source == OWN_SOURCE]
    others = [run for run in runs if run.source != OWN_SOURCE]
    return [*spread_over(own, MOST_OWN), *spread_over(others, MOST_OTHERS)]


def spread_over(runs: Sequence[RunRecord], most: int) -> list[RunRecord]:
    """Return at most so many measured runs, as evenly over landscapes as they allow.

    Within a landscape they lie at even distances from the smallest configuration to the largest.
    In whatever order the runs come, the same are chosen.
    """
    landscapes: dict[tuple[str, ...], list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.is_measured and not run.suspect:
            landscapes[landscape_of(run)].append(run)
    members = [sorted(landscapes[key], key=_size) for key in sorted(landscapes)]
    rooms = _rooms([len(runs) for runs in members], most)
    return [run for runs, room in zip(members, rooms, strict=True) for run in _evenly(runs, room)]


def landscape_of(run: RunRecord) -> tuple[str, ...]:
    """Return what GPU counts and batch sizes vary within: one model on one GPU in one harness."""
    return (run.source, run.engine, run.mode, run.model, run.gpu)


def _size(run: RunRecord) -> tuple[int | str, ...]:
    size = (run.n_gpus, run.input_len or 0, run.output_len or 0, run.batch_size)
    return (*size, run.run_key or "", run.started_at or "")


def _rooms(sizes: Sequence[int], most: int) -> list[int]:
    """Share out room: each gets what it needs, or what the larger ones get too."""
    rooms, left = [0] * len(sizes), most
    order = sorted(range(len(sizes)), key=sizes.__getitem__)
    for rank, i in enumerate(order):
        rooms[i] = min(sizes[i], left // (len(order) - rank))
        left -= rooms[i]
    return rooms


def _evenly(members: Sequence[RunRecord], room: int) -> list[RunRecord]:
    if room >= len(members):
        return list(members)
    if room < 2:
        return list(members[len(members) // 2 :][:room])
    last = len(members) - 1
    return [members[round(i * last / (room - 1))] for i in range(room)]
