#!/usr/bin/env python3
"""Advice from published data alone, held against the landscapes of the reference runs.

Usage: scripts/build_ledger.py [--data TABLE] [--leave-one-out] [JOURNAL ...]

For each closed-batch landscape of the journals: the recommendation with nothing known (to
before.json), three confirmatory runs by replay, and what came of it (ledger.json, ledger.md), by
the shipped surrogate; the same with the other models' reference runs known, as they are to a
checkout's own store. --data names the table that the shipped surrogate was built from (see
scripts/build_pretrained.py); with it, a surrogate without the table's rows of the target GPU
answers too. What stopping early costs and saves is replayed for the shipped surrogate, both ways.
--leave-one-out (needs --data) also trains on published and reference rows without one
model at a time: once anew, once as `autotune train` does, three fits a model. A fit takes up to a
minute. Everything is deterministic.
"""

import argparse
import json
from pathlib import Path

from autotune.importers.readers.published import published
from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from recommender.surrogate.predictor import PRETRAINED, Predictor
from recommender.training import fit as surrogate
from research.reference.landscapes import (
    REFERENCE,
    ReferenceLandscape,
    measured_journals,
    reference_landscapes,
)
from research.reference.ledger import Advice, advise, settle, to_dict
from research.reference.left_out import leave_one_out
from research.reference.plots import draw_landscape, draw_predicted
from research.reference.proof import Proof
from research.reference.report import markdown
from research.reference.stopping import stop_early

DOCS = Path(__file__).parents[1] / "docs"
DRAWN = "h200-vllm-codellama-7b 512/128"


def predictors(
    shipped: Path, table: list[RunRecord], lands: list[ReferenceLandscape]
) -> dict[str, Predictor]:
    """Return the surrogates that answer, by name."""
    found = {"published runs": Predictor.load(shipped)}
    gpus = {land.rows[0].gpu for land in lands}
    rest = [record for record in table if record.gpu not in gpus]
    if rest:
        name = f"published runs without the {', '.join(sorted(gpus))}"
        found[name] = surrogate.fit(rest).predictor
    return found


def draw(advice: list[Advice], proofs: list[Proof], folder: Path) -> None:
    """Draw the pictures; that of a landscape only where its journal was given."""
    draw_predicted(advice, folder / "h200-predicted.png")
    for item, proof in zip(advice, proofs, strict=True):
        if item.land.title == DRAWN:
            draw_landscape(item, proof, folder / "h200-landscape.png")


def main() -> None:
    """Write the ledger and print it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("journals", nargs="*", type=Path, help="default: mlruns/reference/*.jsonl")
    parser.add_argument("--data", type=Path, help="table of published measurements")
    parser.add_argument("--surrogate", type=Path, default=PRETRAINED, help="default: the shipped")
    parser.add_argument("--leave-one-out", action="store_true")
    parser.add_argument("--output", type=Path, default=REFERENCE / "ledger")
    parser.add_argument("--pictures", type=Path, default=DOCS)
    options = parser.parse_args()
    if options.leave_one_out and options.data is None:
        parser.error("--leave-one-out trains on published rows: name their table with --data")
    lands = reference_landscapes(options.journals or sorted(REFERENCE.glob("*.jsonl")))
    table = [] if options.data is None else published.read(options.data).records
    advice, proofs = {}, {}
    answering = predictors(options.surrogate, table, lands)
    for name, predictor in answering.items():
        advice[name] = advise(name, predictor, lands)
        proofs[name] = settle(advice[name], predictor)
    first = next(iter(answering))
    measured = [run for path in measured_journals() for run in read_journal(path)]
    with_related = f"{first}, other models' reference runs known"
    advice[with_related] = advise(with_related, answering[first], lands, measured)
    proofs[with_related] = settle(advice[with_related], answering[first])
    stopping = {
        name: stop_early([(a.land, a.made, a.known) for a in advice[name]], answering[first])
        for name in (first, with_related)
    }
    left_out = leave_one_out(table, lands, measured) if options.leave_one_out else []
    options.output.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(item.to_dict()) for items in advice.values() for item in items]
    before = "[\n" + ",\n".join(lines) + "\n]\n"
    (options.output / "before.json").write_text(before, encoding="utf-8")
    document = json.dumps(to_dict(proofs, left_out, stopping), indent=1, allow_nan=False) + "\n"
    (options.output / "ledger.json").write_text(document, encoding="utf-8")
    text = markdown(proofs, left_out, stopping)
    (options.output / "ledger.md").write_text(text, encoding="utf-8")
    draw(advice[first], proofs[first], options.pictures)
    print(text)


if __name__ == "__main__":
    main()
