"""What a study found, for a terminal and for its run in MLflow."""

from dataclasses import dataclass, field
from pathlib import Path

from autotune.schema.record import RunRecord
from autotune.schema.workload import Slo, best_of, describe_limits, meets
from autotune.views.wording import describe_start, outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """A finished (or interrupted) study.

    Attributes:
        records: Everything the journal holds, earlier sessions included.
        remarks: What the user should know, a sentence each.
        report: The page that was written and logged, if there is a store.
        slo: Latency limits, held against each record's means (``mean_ttft_ms``, ``mean_tpot_ms``).
    """

    session_id: str
    journal: Path
    records: tuple[RunRecord, ...]
    remarks: tuple[str, ...]
    slo: Slo = field(default_factory=Slo)
    report: Path | None = None

    def __repr__(self) -> str:
        first = self.verdict[0] if self.verdict else "nothing ran"
        return f"<StudyResult {self.session_id}: {len(self.records)} configurations; {first}>"

    def _repr_html_(self) -> str:
        """Show the best, the landscape and the runs in a notebook."""
        from autotune.views.pages.html import render_fragment
        from autotune.views.study_report import study_excerpt

        return render_fragment(study_excerpt(self.session_id, self.records))

    @property
    def best(self) -> RunRecord | None:
        """The configuration of the highest output throughput that meets the latency limits."""
        return best_of(self.records, self.slo)

    @property
    def verdict(self) -> list[str]:
        """The best, what it gains over the baselines, and whether the limits could be met."""
        best = self.best
        if best is None:
            n_measured = sum(record.is_measured for record in self.records)
            limits = describe_limits(self.slo)
            return [f"none of {n_measured} that ran met {limits}"] if n_measured and limits else []
        lines = [f"best: {_place(best)}: {outcome(best)}{_latency(best, self.slo)}"]
        for record in self.records:
            if record.purpose == "baseline" and record.run_key != best.run_key:
                lines.append(f"baseline: {_place(record)}: {outcome(record)}{self._gain(record)}")
        return lines

    def _gain(self, baseline: RunRecord) -> str:
        best = self.best
        if best is None or best.output_throughput is None or baseline.output_throughput is None:
            return ""
        if not meets(baseline, self.slo):
            return f"{_latency(baseline, self.slo)}, misses {describe_limits(self.slo)}"
        return f" (the best is {best.output_throughput / baseline.output_throughput - 1:+.1%})"

    @property
    def summary(self) -> str:
        """A few lines for a terminal."""
        n_failed = sum(record.status != "completed" for record in self.records)
        head = f"{len(self.records)} configurations, {n_failed} failed; journal {self.journal}"
        page = [] if self.report is None else [f"report: {self.report}"]
        return "\n".join([head, *self.verdict, *self.remarks, *page])


def _place(record: RunRecord) -> str:
    return f"{describe_start(record)}, batch {record.batch_size}"


def _latency(record: RunRecord, slo: Slo) -> str:
    """Return the latencies that there is a limit for."""
    pairs = (
        ("TTFT", record.mean_ttft_ms, slo.max_ttft_ms),
        ("TPOT", record.mean_tpot_ms, slo.max_tpot_ms),
    )
    texts = [
        f", mean {name} {'unmeasured' if measured is None else f'{measured:.1f} ms'}"
        for name, measured, limit in pairs
        if limit is not None
    ]
    return "".join(texts)
