"""What 5547df1 wrote (``tests/fixtures/5547df1``), laid out as it lay there."""

import json
import lzma
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

FIXTURES = Path(__file__).parents[1] / "fixtures" / "5547df1"


def recommendation() -> Path:
    """Return the document of the recommendation that was confirmed."""
    [document] = (p for p in (FIXTURES / "store" / "recommendations").glob("*.json")
                  if "-" not in p.stem)  # fmt: skip
    return document


def restore(folder: Path) -> None:
    """Lay out the journals, the documents and the store, whose champion is in force."""
    shutil.copytree(FIXTURES, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("answers"))
    store = folder / "mlruns"
    (folder / "store").rename(store)
    shutil.copyfile(recommendation(), folder / "recommendation.json")
    for path in store.rglob("*.json.xz"):
        path.with_suffix("").write_bytes(lzma.decompress(path.read_bytes()))
        path.unlink()
    dump = lzma.decompress((store / "mlflow.sql.xz").read_bytes()).decode()
    with closing(sqlite3.connect(store / "mlflow.db")) as database:
        database.executescript(dump.replace("@STORE@", str(store)))
    (store / "mlflow.sql.xz").unlink()
    [version] = (store / "surrogates").iterdir()
    (store / "champion").symlink_to(Path("surrogates") / version.name)


def questions() -> dict[str, list[str]]:
    """Return what both versions are asked of the restored files, in this order."""
    asked: dict[str, list[str]] = json.loads((FIXTURES / "questions.json").read_text())
    study = json.loads((FIXTURES / "study.jsonl").read_text().splitlines()[0])["session_id"]
    return {name: [study if a == "STUDY" else a for a in line] for name, line in asked.items()}


def answer(name: str) -> object:
    """Return what 5547df1 answered."""
    return json.loads((FIXTURES / "answers" / f"{name}.json").read_text())
