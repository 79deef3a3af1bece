"""A study as a document: what was asked, the best, why, the proof, how to deploy and repeat it."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from autotune.catalog.recorded_models import MODEL_CONFIG
from autotune.engines.vllm.deployed import deployed_knobs, measured_otherwise
from autotune.runner.environment import snapshot
from autotune.schema.record import RunRecord, short_name
from autotune.schema.study_spec import SEARCH_SETTINGS
from autotune.schema.workload import Slo, best_of, describe_limits
from autotune.views.charts.landscape import (
    Marks,
    Point,
    cost_lines,
    energy_lines,
    pareto,
    place_of,
    points_of,
    speed_lines,
    speed_map,
)
from autotune.views.charts.model import Chart
from autotune.views.deployment import deployment_markdown
from autotune.views.landscapes import irregularity, landscape_table, landscapes_of
from autotune.views.pages.document import Block, Document, Figure, code, inline, section, table
from autotune.views.wording import describe_knobs, describe_start, describe_workload, outcome

# One document's charts: of more workloads the first are drawn, the table has them all.
_MOST_WORKLOADS = 6
Group = Sequence[RunRecord]


def study_document(study: str, records: Group, *more: Block) -> Document:
    """Return the report of one study.

    Args:
        records: Its runs, one at least.
        more: Further sections, before those on deploying.
    """
    first, best = records[0], best_of(records, limits_of(records))
    names = sorted({short_name(r.model) for r in records})
    gpus = sorted({r.gpu for r in records})
    blocks = [
        _headline(records, best),
        *section("What was asked", _asked(study, records)),
        *section("Why", _why(records), *figures(records)),
        *section("Proof", runs_table(records)),
        *more,
        *([] if best is None else section("How to deploy it", _deploy(best))),
        *section("How to repeat it", _repeat(study, records)),
        *section("Environment", environment_table(first.environment)),
    ]
    title = f"{', '.join(names[:3])} on {', '.join(gpus[:3])}: study {study}"
    return Document(title=title, blocks=tuple(blocks))


def study_excerpt(study: str, records: Group) -> Document:
    """Return what fits a notebook: the best, the charts, the runs."""
    if not records:
        return Document(title=f"Study {study}", blocks=("Nothing was run.",))
    best = best_of(records, limits_of(records))
    blocks = (_headline(records, best), *figures(records), runs_table(records))
    return Document(title=f"Study {study}", blocks=blocks)


def limits_of(records: Group) -> Slo:
    """Return the latency limits that the runs were held against."""
    given = [r.environment["slo"] for r in records if "slo" in r.environment]
    return Slo(**given[0]) if given else Slo()


def _headline(records: Group, best: RunRecord | None) -> str:
    n_failed = sum(r.status != "completed" for r in records)
    counted = f"{len(records)} configurations were run, {n_failed} failed."
    if best is None:
        return f"**No configuration can be recommended.** {counted}"
    return (
        f"**Best: {inline(describe_start(best))}, batch size {best.batch_size}, "
        f"{outcome(best)}** (generated tokens, {describe_workload(best)} tokens in/out). {counted}"
    )


def _asked(study: str, records: Group) -> str:
    first = records[0]
    limits = describe_limits(limits_of(records))
    facts = {
        "model": _some(inline(r.model) for r in records),
        "GPU": _some(r.gpu for r in records),
        "engines": _some(f"{r.engine} {r.engine_version or ''}".strip() for r in records),
        "GPUs of a replica": _some(str(r.n_gpus) for r in sorted(records, key=lambda r: r.n_gpus)),
        "batch sizes": _some(str(b) for b in sorted({r.batch_size for r in records})),
        "tokens in/out": _some(describe_workload(r) for r in records),
        "engine arguments": _some(inline(", ".join(describe_knobs(r))) for r in records),
        "latency limits": limits,
        **{name: str(first.environment.get(name, "")) for name in SEARCH_SETTINGS},
        "weights": _some(str(r.environment.get("weights", "")) for r in records),
        "study": inline(study),
        "measured": _span([r.started_at for r in records if r.started_at]),
    }
    return table(("setting", "value"), [(k, v) for k, v in facts.items() if v])


def _some(values: Any, most: int = 12) -> str:
    different = list(dict.fromkeys(value for value in values if value))
    more = f" and {len(different) - most} more" if len(different) > most else ""
    return ", ".join(different[:most]) + more


def _span(stamps: Sequence[str]) -> str:
    if not stamps:
        return ""
    first, last = (stamp[:19].replace("T", " ") for stamp in (min(stamps), max(stamps)))
    return f"{first} UTC" if first == last else f"{first} to {last} UTC"


def _why(records: Group) -> str:

    lands = landscapes_of(records)
    return f"{irregularity(lands)}\n\n{landscape_table(lands)}"


def workloads_of(records: Group) -> dict[str, list[RunRecord]]:
    """Return the runs by model, GPU and workload, under a title each."""
    groups: dict[str, list[RunRecord]] = {}
    for record in records:
        title = f"{short_name(record.model)} on {record.gpu}, {describe_workload(record)} tokens"
        groups.setdefault(title, []).append(record)
    return groups


def figures(records: Group) -> list[Block]:
    """Return the charts of each workload, and a sentence where some are left out."""
    groups = workloads_of(records)
    shown: list[Block] = []
    for number, (title, rows) in enumerate(list(groups.items())[:_MOST_WORKLOADS], start=1):
        shown += [
            Figure(name=f"{name}-{number}" if len(groups) > 1 else name, chart=chart)
            for name, chart in charts_of(rows, title).items()
        ]
    if len(groups) > _MOST_WORKLOADS:
        shown.append(f"Drawn are {_MOST_WORKLOADS} of {len(groups)} workloads.")
    return shown


def charts_of(records: Group, title: str) -> dict[str, Chart]:
    """Return the charts of one workload's runs by name; those with nothing to show are left out."""
    points = points_of(records)
    marks = marks_of(records)
    found: dict[str, Chart | None] = {
        "landscape": speed_lines(points, title=f"{title}: throughput", marks=marks)
    }
    for name, group in _maps(points).items():
        own = {place: word for place, word in marks.items() if place in {p.place for p in group}}
        found[f"map-{name}"] = speed_map(group, title=f"{title}, {name}: throughput", marks=own)
    found |= {
        "pareto": pareto(points, title=f"{title}: throughput against latency", marks=marks),
        "energy": energy_lines(points, title=f"{title}: energy", marks=marks),
        "cost": cost_lines(points, title=f"{title}: cost", marks=marks),
    }
    return {name: chart for name, chart in found.items() if chart is not None}


def marks_of(records: Group) -> Marks:
    """Return the words on the best configuration and on the baselines."""
    best = best_of(records, limits_of(records))
    marks = {place_of(r): "baseline" for r in records if r.purpose == "baseline"}
    return marks if best is None else {**marks, place_of(best): "best"}


def _maps(points: Sequence[Point]) -> dict[str, list[Point]]:
    """Return the points of each engine and variant that has several GPU counts and batch sizes."""
    groups: dict[str, list[Point]] = {}
    for point in points:
        variants = sorted({p.place.variant for p in points if p.place.engine == point.place.engine})
        index = variants.index(point.place.variant)
        name = f"{point.place.engine}-{index + 1}" if len(variants) > 1 else point.place.engine
        groups.setdefault(name, []).append(point)
    return {
        name: group
        for name, group in groups.items()
        if len({p.place.n_gpus for p in group}) > 1 and len({p.place.batch_size for p in group}) > 1
    }


def runs_table(records: Group) -> str:
    """Return every run with its interval, its latencies, and its reason where it failed."""
    head = ("engine and GPUs", "batch", "tokens in/out", "result", "repeats", "TTFT ms", "TPOT ms")
    rows = [
        (
            inline(describe_start(r)),
            str(r.batch_size),
            describe_workload(r),
            inline(outcome(r)),
            _number(r.repeats, 0),
            _number(r.mean_ttft_ms, 1),
            _number(r.mean_tpot_ms, 2),
        )
        for r in records
    ]
    return table(head, rows, numbers=(1, 4, 5, 6))


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:,.{digits}f}"


def _deploy(best: RunRecord) -> str:
    # A directory's model goes by the directory's name, one of the Hub by ORG/NAME.
    is_local = MODEL_CONFIG in best.environment and "/" not in best.model
    path = "PATH/TO/" + short_name(best.model) if is_local else None
    deployed = dataclasses.replace(best.configuration, knobs=deployed_knobs(best))
    otherwise = measured_otherwise(deployed, best)
    ways = deployment_markdown(deployed, model=path)
    return f"{ways}\n\n{inline(otherwise)}." if otherwise else ways


def _repeat(study: str, records: Group) -> str:
    first = records[0]
    engines = _some(r.engine for r in records).replace(" ", "")
    lines = [
        shlex.join(
            [
                *("autotune", "run", "--model", first.model, "--engine", engines),
                *("--n-gpus", _list({r.n_gpus for r in records})),
                *("--batch-sizes", _list({r.batch_size for r in records})),
                *("--input-len", str(first.input_len), "--output-len", str(first.output_len)),
                *(["--mode", first.mode] if first.mode != "closed_batch" else []),
                *[a for k in describe_knobs(first) for a in ("--set", k)],
                "--exhaustive",
            ]
        ),
        "autotune export runs.jsonl",
        shlex.join(["autotune", "report", study, "--output", "report.html"]),
    ]
    return code("\n".join(lines), "sh")


def _list(counts: set[int]) -> str:
    return ",".join(map(str, sorted(counts)))


def environment_table(environment: Mapping[str, Any] | None = None) -> str:
    """Return versions and host facts: those given, or this host's now."""
    facts = snapshot() if environment is None else environment
    rows = [
        (name, inline(str(value)))
        for name, value in facts.items()
        if isinstance(value, str | int | float) and not isinstance(value, bool)
    ]
    return table(("what", "value"), rows)
