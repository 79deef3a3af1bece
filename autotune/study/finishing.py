"""What a study's run in MLflow gets beside its records: the host's use meanwhile, and its end."""

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.file_names import file_name
from autotune.schema.record import RunRecord
from autotune.study.result import StudyResult

if TYPE_CHECKING:
    from autotune.store.tracking.store import Store


class Watch:
    """Logs the host's use to a study's parent run, from its first record on."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        self._is_on = False

    def begin(self, store: "Store", records: Sequence[RunRecord]) -> None:
        """Begin once there is a record, whose study the parent run is of."""
        if records and not self._is_on:
            self._is_on = True
            self._stack.enter_context(store.watch(store.study_run(records[0])))

    def close(self) -> None:
        """End it."""
        self._stack.close()


def finish_study(store: "Store", result: StudyResult, *, completed: bool) -> Path:
    """Close the study's parent run with its summary and its report; return that.

    What cannot be written here can be made again from the journal.

    Raises:
        StoreError: When the store refuses.
        OSError: When the report cannot be written.
    """
    report = _write_report(result, store.directory)
    store.finish_study(
        result.session_id,
        result.records,
        completed=completed,
        verdict=result.verdict,
        report=report,
        artifacts=[result.journal],
    )
    return report[0]


def _write_report(result: StudyResult, directory: Path) -> tuple[Path, ...]:
    from autotune.views.pages.writing import write_document
    from autotune.views.study_report import study_document

    document = study_document(result.session_id, result.records)
    return write_document(document, directory / "reports" / file_name(result.session_id)).files
