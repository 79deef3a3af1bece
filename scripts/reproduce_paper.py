"""Recompute the findings of arXiv 2408.01050 from its replication folder, through MLflow.

Usage: scripts/reproduce_paper.py FOLDER [--output DIR] [--tracking-uri URI] [--with-recommender]

FOLDER holds allData.csv, RQ2_tables/ and results_hpo_*.json. The runs are imported into a store (a
temporary one unless --tracking-uri names one), read back from it, and the report (report.html,
report.md and pictures) is written and logged there. --with-recommender also plays our recommender's
migrations with 0, 1, 3 and 5 runs on the target, which takes minutes.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from autotune.errors import AutotuneError
from autotune.store.tracking.store import Store
from autotune.views.pages.document import Document
from autotune.views.pages.writing import write_document
from autotune.views.store_report import draw_all
from research.paper.findings import paper_landscapes
from research.paper.gain import harvest
from research.paper.report import paper_report
from research.paper.stored import stored_runs


def reproduce(folder: Path, uri: str, output: Path, *, with_recommender: bool) -> str:
    """Import, compute, write and log; return what to print."""
    store = Store(uri)
    records = stored_runs(folder, store)
    harvests = harvest(records, folder) if with_recommender else []
    made = paper_report(records, folder, harvests)
    pictures = draw_all(paper_landscapes(records, with_suspect=True))
    title, _, text = made.text.partition("\n")
    report = write_document(
        Document(title=title.removeprefix("# "), blocks=(text.strip(), *pictures)), output
    )
    store.log_document(
        kind="report",
        name="report · arXiv 2408.01050",
        document_id=f"paper-{len(records)}-{'with' if harvests else 'without'}-recommender",
        params={"folder": folder.name, "runs": len(records)},
        metrics=made.metrics,
        note=made.summary,
        artifacts=report.files,
    )
    return f"{made.summary}\n\nwritten to {report.files[0]}"


def main() -> int:
    """Parse, reproduce, print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, default=Path("paper-report"))
    parser.add_argument("--tracking-uri")
    parser.add_argument("--with-recommender", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        uri = chosen.tracking_uri or f"sqlite:///{temporary}/mlflow.db"
        try:
            print(
                reproduce(
                    chosen.folder, uri, chosen.output, with_recommender=chosen.with_recommender
                )
            )
        except AutotuneError as error:
            print(f"Error: {error}", file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
