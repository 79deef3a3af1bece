"""Makes the figures of docs/accuracy.md and README.md, and writes them into these pages.

Without arguments the pages are rendered from mlruns/reference/ledger/accuracy.json. Parts are made
where they are named, or where an input is: then all that the inputs allow. Each is stored as it
comes, so a cut run keeps what is done.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.errors import AutotuneError
from research.accuracy.pages import PAGES, ROOT, render, stale
from research.accuracy.results import RESULTS, AccuracyError, Made, Results

if TYPE_CHECKING:
    from research.accuracy.parts import Inputs, Part

_EXAMPLE = """
examples:
  scripts/accuracy                                   write the pages from what is stored
  scripts/accuracy --check                           exit 1 if they are not so
  scripts/accuracy energy replicas confirmed         the project's own runs anew
  scripts/accuracy --data TABLE --infpop FOLDER      everything but aiconfigurator, in hours
  autotune evaluate --protocol migration --data TABLE --json > done.json
  scripts/accuracy --from migration=done.json --data TABLE
"""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    about, _, more = (__doc__ or "").partition("\n\n")
    made = argparse.ArgumentParser(
        prog="scripts/accuracy",
        description=f"{about}\n\n{more}",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("parts", nargs="*", metavar="PART", help="what to make (see --list)")
    made.add_argument("--data", type=Path, metavar="TABLE", help="published measurements")
    made.add_argument("--infpop", type=Path, metavar="FOLDER", help="the paper's replication files")
    made.add_argument(
        "--aiconfigurator", type=Path, metavar="PYTHON", help="an interpreter that has it"
    )
    made.add_argument(
        "--from",
        dest="taken",
        action="append",
        default=[],
        metavar="PART=FILE",
        help="take what the part's command wrote; nothing else is made unless parts are named",
    )
    made.add_argument(
        "--commit", help="the code that wrote the files of --from  [default: the checkout's]"
    )
    made.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    made.add_argument("--list", action="store_true", help="list the parts and what they need")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what is asked for, then render."""
    reader = parser()
    options = reader.parse_args(arguments)
    if options.check and (options.parts or options.taken or options.data or options.infpop):
        reader.error("--check makes nothing")
    try:
        if options.list:
            return _list()
        if not options.check:
            _make(reader, options)
        return _render(Results.load(RESULTS), write=not options.check)
    except AutotuneError as error:
        print(f"Error: {error}", file=sys.stderr)
        return error.exit_code


def _render(results: Results, *, write: bool) -> int:
    made = render(results, PAGES)
    for page in stale(made):
        if write:
            page.write_text(made[page], encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
        else:
            print(f"{page.relative_to(ROOT)} is stale: run scripts/accuracy", file=sys.stderr)
            return 1
    return 0


def _list() -> int:
    from research.accuracy.parts import PARTS

    for name, part in PARTS.items():
        print(f"{name:16} {f'--{part.needs}' if part.needs else '':17} {part.command}")
    return 0


def _make(reader: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """Make the parts that are asked for and store each as it comes."""
    given = {name: getattr(options, name) for name in ("data", "infpop", "aiconfigurator")}
    if not (options.parts or options.taken or any(given.values())):
        return
    # What only rendering does without: the recommender's imports take seconds.
    from research.accuracy.parts import PARTS, Inputs

    inputs = Inputs(**given)
    taken = dict(item.partition("=")[::2] for item in options.taken)
    if unknown := [name for name in (*options.parts, *taken) if name not in PARTS]:
        reader.error(f"unknown part {unknown[0]!r}; known: {', '.join(PARTS)}")
    for name, file in taken.items():
        _store(name, PARTS[name], inputs, _read(Path(file)), options.commit)
        print(f"{name}: taken from {Path(file).name}")
    for name in options.parts or ([] if taken else PARTS):
        part = PARTS[name]
        if part.needs and given[part.needs] is None:
            if options.parts:
                reader.error(f"{name} needs --{part.needs}")
            print(f"{name}: left out, it needs --{part.needs}")
            continue
        started = time.perf_counter()
        document = part.make(inputs)
        seconds = round(time.perf_counter() - started, 1)
        _store(name, part, inputs, document, seconds=seconds)
        print(f"{name}: {seconds} s", flush=True)


def _store(
    name: str,
    part: "Part",
    inputs: "Inputs",
    document: Any,
    commit: str | None = None,
    seconds: float | None = None,
) -> None:
    source = part.source(inputs)
    made = Made(
        command=part.command,
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        commit=commit or _commit(),
        data=None if source is None else _named(source),
        seconds=seconds,
    )
    Results.load(RESULTS).replaced(name, made, part.figures(document)).save(RESULTS)


def _read(path: Path) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
        return json.loads(text) if path.suffix == ".json" else text
    except (OSError, ValueError) as error:
        raise AccuracyError(f"cannot read {path}: {error}") from error


def _named(source: Path) -> str:
    """Return the name and a checksum of a file, or of a folder's files."""
    files = sorted(path for path in source.rglob("*") if path.is_file()) or [source]
    digest = hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()
    return f"{source.name} ({digest[:12]})"


def _commit() -> str:
    asked = ["git", "-C", str(ROOT), "rev-parse", "--short=7", "HEAD"]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"
