"""The pages that carry figures, and what writes each of their blocks."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from research.accuracy import (
    beside_blocks,
    card_blocks,
    moved_blocks,
    paper_blocks,
    published_blocks,
    readme_blocks,
    reference_blocks,
)
from research.accuracy.blocks import Renderer, names_of, rendered
from research.accuracy.results import AccuracyError, Results
from research.accuracy.wording import table

ROOT: Final = Path(__file__).parents[3]
CARD: Final = ROOT / "recommender" / "surrogate" / "pretrained" / "MODEL_CARD.md"
PAGES: Final = (ROOT / "README.md", ROOT / "docs" / "accuracy.md", CARD)


def example(results: Results) -> str:
    """What the page's example prints."""
    return "\n".join(["```text", *results.figures("example")["lines"], "```"])


def provenance(results: Results) -> str:
    """What each part was made by, when and from what."""
    rows = [
        [name, f"`{made.command}`", made.date, made.commit, made.data or "own runs"]
        for name, made in results.made().items()
        if name != "former"
    ]
    return table(["part", "made by", "on", "commit", "from"], rows)


RENDERERS: Final[Mapping[str, Renderer]] = {
    "example": example,
    "aims": reference_blocks.aims,
    "missed": reference_blocks.missed,
    "related": reference_blocks.related,
    "left-out": reference_blocks.left_out,
    "confirmed": reference_blocks.confirmed,
    "migration": published_blocks.migration,
    "failures": published_blocks.failures,
    "gain-tables": paper_blocks.gain_tables,
    "gain": paper_blocks.gain,
    "gain-said": paper_blocks.gain_said,
    "leave-gpu-out": published_blocks.unseen_gpus,
    "certificates": published_blocks.certificates,
    "bounds": published_blocks.bounds,
    "moved-migration": moved_blocks.migration,
    "moved-unseen": moved_blocks.unseen,
    "moved-certificates": moved_blocks.certificates,
    "moved-gain": moved_blocks.gain,
    "cells": published_blocks.cells,
    "energy-output": beside_blocks.energy_output,
    "energy": beside_blocks.energy,
    "replicas": beside_blocks.replicas,
    "replicas-predicted": beside_blocks.replicas_predicted,
    "aiconfigurator": beside_blocks.aiconfigurator,
    "made": provenance,
    "card-migration": card_blocks.migration,
    "card-leave-gpu-out": card_blocks.unseen_gpus,
    "card-leave-model-out": card_blocks.unseen_models,
    "card-related": card_blocks.related,
    "how-good": readme_blocks.how_good,
    **readme_blocks.NUMBERS,
}


def render(
    results: Results,
    pages: Iterable[Path] = PAGES,
    renderers: Mapping[str, Renderer] = RENDERERS,
) -> dict[Path, str]:
    """Return every page as it should be.

    Raises:
        AccuracyError: When a block is unknown, missing from all pages, or lacks a figure.
    """
    texts = {page: page.read_text(encoding="utf-8") for page in pages}
    placed: set[str] = set().union(*(names_of(text) for text in texts.values()))
    if unplaced := sorted(set(renderers) - placed):
        raise AccuracyError(f"no page has the block {', '.join(unplaced)}")
    return {page: rendered(text, renderers, results) for page, text in texts.items()}


def stale(made: Mapping[Path, str]) -> list[Path]:
    """Return the pages that are not as they should be."""
    return [page for page, text in made.items() if page.read_text(encoding="utf-8") != text]
