"""A sample of runs that has something of every landscape."""

from collections import defaultdict
from collections.abc import Hashable, Sequence

from autotune.records import RunRecord


def spread_over(runs: Sequence[RunRecord], most: int) -> list[RunRecord]:
    """Return at most so many measured runs, as evenly over landscapes as they allow.

    Within a landscape they lie at even distances from the smallest configuration to the largest.
    """
    landscapes: dict[Hashable, list[RunRecord]] = defaultdict(list)
    for run in runs:
        if run.is_measured and not run.suspect:
            landscapes[landscape_of(run)].append(run)
    rooms = _rooms([len(members) for members in landscapes.values()], most)
    return [
        run
        for members, room in zip(landscapes.values(), rooms, strict=True)
        for run in _evenly(sorted(members, key=_size), room)
    ]


def landscape_of(run: RunRecord) -> tuple[Hashable, ...]:
    """Return what GPU counts and batch sizes vary within: one model on one GPU in one harness."""
    return (run.source, run.engine, run.mode, run.model, run.gpu)


def _size(run: RunRecord) -> tuple[int, ...]:
    return (run.n_gpus, run.input_len or 0, run.output_len or 0, run.batch_size)


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
