"""Replicas behind one server held against tensor parallelism over the same GPUs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from autotune.schema.record import RunRecord
from recommender.features.placement import replicas_of
from recommender.surrogate.predictor import Predictor
from research.reference.report import table

# replicas, GPUs of one
Split = tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One load, served in several ways: replicas and GPUs of one -> its run, its prediction."""

    runs: Mapping[Split, RunRecord]
    predicted: Mapping[Split, float]

    @property
    def faster(self) -> Split:
        """The way measured to be the fastest."""
        return max(self.runs, key=self.measured)

    @property
    def chosen(self) -> Split:
        """The way predicted to be."""
        return max(self.predicted, key=self.predicted.__getitem__)

    def measured(self, way: Split) -> float:
        """Return tokens/s."""
        return self.runs[way].output_throughput or 0.0

    def line(self, ways: Sequence[Split]) -> list[str]:
        """Return a row of the table."""
        run = self.runs[self.faster]
        return [
            run.model.rpartition("/")[2],
            f"{run.n_gpus} x {run.gpu}",
            f"{run.input_len}/{run.output_len}",
            str(run.batch_size),
            *(self._cell(way) for way in ways),
            _text(self.faster),
            _text(self.chosen),
            f"{1 - self.measured(self.chosen) / self.measured(self.faster):.1%}",
        ]

    def _cell(self, way: Split) -> str:
        if way not in self.runs:
            return "-"
        once = "" if (self.runs[way].repeats or 1) > 1 else "\\*"
        return f"{self.measured(way):,.0f}{once} ({self.predicted[way]:,.0f})"


def read(runs: Sequence[RunRecord], predictor: Predictor) -> list[Served]:
    """Return every load that was served in more than one way."""
    loads: dict[tuple[object, ...], dict[Split, RunRecord]] = defaultdict(dict)
    for run in runs:
        if run.mode == "serving" and run.is_measured:
            load = (run.model, run.gpu, run.n_gpus, run.input_len, run.output_len, run.batch_size)
            replicas = replicas_of(run)
            loads[load][replicas, run.n_gpus // replicas] = run
    found = []
    for _, ways in sorted(loads.items()):
        prediction = predictor.predict([run.configuration for run in ways.values()])
        predicted = {way: t.output_throughput for way, t in zip(ways, prediction, strict=True)}
        found.append(Served(runs=ways, predicted=predicted))
    return [served for served in found if len(served.runs) > 1]


def markdown(found: Sequence[Served]) -> str:
    """Return the table and what it amounts to."""
    ways = sorted({way for served in found for way in served.runs})
    right = sum(served.faster == served.chosen for served in found)
    header = ["model", "GPUs", "in/out", "in flight", *map(_text, ways)]
    lines = [served.line(ways) for served in found]
    return (
        "# Replicas against tensor parallelism\n\n"
        "Generated tok/s behind vLLM's own server, as replicas x GPUs of one; a star: measured in "
        "one pass. In brackets what the shipped surrogate says, nothing known of the model: it "
        f"names the faster way in {right} of {len(found)} cases. Lost is what its choice costs.\n\n"
        f"{table([*header, 'faster', 'predicted to be', 'lost'], lines)}\n"
    )


def _text(way: Split) -> str:
    return f"{way[0]} x {way[1]}"
