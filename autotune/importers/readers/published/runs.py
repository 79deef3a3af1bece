"""RunRecords as this program writes them: JSON lines (journals, exports) and CSV."""

import csv
from pathlib import Path

from autotune.errors import InvalidRecordError
from autotune.importers.base import ImportResult, Rejection
from autotune.schema.codec import from_csv_row, parse_json_object, read_lines
from autotune.schema.configuration import check_keys
from autotune.schema.record import RECORD_FIELDS, RunRecord

_REQUIRED_COLUMNS = ("source", "engine", "model", "gpu", "n_gpus", "batch_size", "status")


def read(path: Path) -> ImportResult:
    """Read a ``.csv`` file, or JSON lines from any other.

    Raises:
        InvalidRecordError: When a CSV header is not a RunRecord's, or the file is not UTF-8.
    """
    try:
        return _read_csv(path) if path.suffix == ".csv" else _read_jsonl(path)
    except UnicodeDecodeError as error:
        raise InvalidRecordError(f"{path} is not UTF-8 text: {error.reason}") from None


def _read_jsonl(path: Path) -> ImportResult:
    records: list[RunRecord] = []
    rejected: list[Rejection] = []
    for number, line in read_lines(path):
        try:
            records.append(RunRecord.from_dict(parse_json_object(line)))
        except InvalidRecordError as error:
            rejected.append(Rejection(line=number, reason=str(error), row={"text": line[:10_000]}))
    return ImportResult(records=records, rejected=rejected)


def _read_csv(path: Path) -> ImportResult:
    records: list[RunRecord] = []
    rejected: list[Rejection] = []
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        header = dict.fromkeys(reader.fieldnames or ())
        try:
            check_keys(header, RECORD_FIELDS, required=_REQUIRED_COLUMNS)
        except InvalidRecordError as error:
            raise InvalidRecordError(f"{path}: the header has {error}") from None
        for row in reader:
            try:
                records.append(from_csv_row(row))
            except InvalidRecordError as error:
                cells = {str(key): cell for key, cell in row.items()}
                rejected.append(Rejection(line=reader.line_num, reason=str(error), row=cells))
    return ImportResult(records=records, rejected=rejected)
