"""``autotune report``: a study's landscapes, or the whole store's, in Markdown and pictures."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autotune.errors import UsageError, did_you_mean
from autotune.file_names import file_name
from autotune.landscapes import (
    Landscape,
    Steps,
    batch_steps,
    gpu_steps,
    landscapes_of,
    local_maxima,
)
from autotune.records import RunRecord

EVERYTHING = "all"
FEWEST_CELLS = 2
MOST_PANELS = 60
# MLflow's tags hold 8000 characters
_LONGEST_NOTE = 6000
_HEAD = (
    "| engine | model | GPU | tokens in/out | settings | measured | failed | best GPUs x batch "
    "| tok/s | local maxima | batch steps down | GPU steps down |"
)
_RULE = "|---|---|---|---|---|--:|--:|---|--:|--:|--:|--:|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report that was written and logged."""

    markdown: Path
    pictures: tuple[Path, ...]
    summary: str

    def to_dict(self) -> dict[str, Any]:
        """Return JSON-ready values."""
        return {
            "markdown": str(self.markdown),
            "pictures": [str(picture) for picture in self.pictures],
            "summary": self.summary,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """More to report: Markdown, and what draws its pictures into a folder."""

    text: str
    draw: Callable[[Path], Sequence[Path]]


def report_study(
    study: str,
    tracking_uri: str,
    folder: Path | None = None,
    *,
    section: Section | None = None,
) -> Report:
    """Write the report of one study (its session id) or of ``all``, and log it to the store.

    Args:
        folder: Where to write; by default ``reports/STUDY`` beside the store.
        section: Stands after the landscapes.

    Raises:
        UsageError: When the store holds no such study.
    """
    from autotune.tracking import Store

    store = Store(tracking_uri)
    records = select(store.read(), study)
    target = folder or store.directory / "reports" / file_name(study)
    title = "All runs of the store" if study == EVERYTHING else f"Study {study}"
    lands = landscapes_of(records)
    text = f"# {title}\n\n{irregularity(lands)}\n\n{landscape_table(lands)}\n"
    pictures = draw_all(lands, target)
    if section is not None:
        text += f"\n{section.text}\n"
        pictures += section.draw(target)
    report = write_report(target, text, pictures, irregularity(lands))
    store.log_document(
        kind="report",
        name=f"report · {study}",
        document_id=f"{study}-{len(records)}",
        params={"study": study},
        metrics={"n_runs": float(len(records)), "n_landscapes": float(len(lands))},
        note=text if len(text) <= _LONGEST_NOTE else irregularity(lands),
        artifacts=[report.markdown, *report.pictures],
    )
    return report


def select(records: Sequence[RunRecord], study: str) -> list[RunRecord]:
    """Return the records of a study.

    Raises:
        UsageError: When there are none; names the nearest.
    """
    chosen = [r for r in records if study in (EVERYTHING, r.session_id)]
    if not chosen:
        known = sorted({r.session_id for r in records if r.session_id})
        raise UsageError(
            f"the store holds no runs of {study!r}; name one of its {len(known)} studies, or "
            f"{EVERYTHING}.{did_you_mean(study, known)}"
        )
    return chosen


def write_report(folder: Path, text: str, pictures: Sequence[Path], summary: str) -> Report:
    """Write ``report.md`` with links to its pictures, which lie in the same folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "report.md"
    links = "".join(f"\n![{picture.stem}]({picture.name})\n" for picture in pictures)
    path.write_text(text + links, encoding="utf-8")
    return Report(markdown=path, pictures=tuple(pictures), summary=summary)


def draw_all(lands: Sequence[Landscape], folder: Path) -> list[Path]:
    """Draw one picture an engine and GPU, a panel a landscape of two cells or more.

    Of more than 60 landscapes the 60 with most cells are drawn; the picture says so.
    """
    from autotune.plots import landscape_grid

    groups: dict[str, list[Landscape]] = {}
    for land in lands:
        if len(land.cells) >= FEWEST_CELLS:
            groups.setdefault(f"{land.engine}-{land.gpu}", []).append(land)
    return [
        landscape_grid(
            _largest(group), folder / f"landscapes-{file_name(name)}.png", n_all=len(group)
        )
        for name, group in sorted(groups.items())
    ]


def _largest(group: Sequence[Landscape]) -> list[Landscape]:
    """Return the landscapes with most cells, in their order."""
    ranked = sorted(range(len(group)), key=lambda k: -len(group[k].cells))
    return [group[k] for k in sorted(ranked[:MOST_PANELS])]


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
