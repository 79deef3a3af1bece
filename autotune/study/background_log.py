"""Logging a study to its store from a thread of its own, so that no store slows a measurement.

The journal has every record before this sees it. What a store refuses is offered again after a
while, and what it has not taken by the end of the study waits for ``autotune sync``.
"""

import contextlib
import queue
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autotune.errors import StoreError
from autotune.files import file_name
from autotune.runner.runner import tail_path
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


PATIENCE_S = 30.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_POLL_S = 0.2


class StoreLog:
    """Takes records at once and logs them behind the study's back.

    Args:
        store: ``None`` logs nothing.
        log_dir: Where the engines' last words before a failure are; they go with its record.
        patience_s: How long ``finish`` waits for a store that takes nothing.

    Attributes:
        remarks: What the user should know, a sentence each; whole after ``finish``.
    """

    def __init__(
        self, store: "Store | None", log_dir: Path, *, patience_s: float = PATIENCE_S
    ) -> None:
        self.remarks: list[str] = []
        self._store = store
        self._log_dir = log_dir
        self._patience_s = patience_s
        self._new: queue.SimpleQueue[RunRecord] = queue.SimpleQueue()
        self._pending: list[RunRecord] = []
        self._last_words: Callable[[], Path] | None = None
        self._report: Path | None = None
        self._watch = Watch()
        self._error: StoreError | None = None
        self._closing = threading.Event()
        self._progressed_at = time.monotonic()
        self._thread = threading.Thread(target=self._serve, name="store-log", daemon=True)
        if store is not None:
            self._thread.start()

    def log(self, records: Sequence[RunRecord]) -> None:
        """Hand records over; returns at once."""
        for record in records if self._store is not None else ():
            self._new.put(record)

    def finish(self, result: StudyResult, *, completed: bool) -> Path | None:
        """Wait until the store has everything, or takes nothing any more; say what it lacks.

        Returns:
            The study's report, if it was written and logged.
        """
        store = self._store
        if store is None:
            return None
        if result.records:
            self._last_words = lambda: finish_study(store, result, completed=completed)
        self._progressed_at = time.monotonic()
        self._closing.set()
        while self._thread.is_alive() and self._is_worth_waiting():
            self._thread.join(_POLL_S)
        n_left = len(self._pending) + self._new.qsize()
        if n_left:
            reason = f" ({self._error})" if self._error is not None else ""
            self.remarks.append(
                f"{n_left} of {len(result.records)} runs are in the journal alone{reason}; "
                f"`autotune sync {result.journal}` logs them once the store is back"
            )
        return self._report

    def _is_worth_waiting(self) -> bool:
        return time.monotonic() - self._progressed_at < self._patience_s

    def _serve(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            is_last = self._closing.is_set()
            self._collect()
            if self._flush():
                pause_s = _FIRST_PAUSE_S
            elif not is_last:
                self._closing.wait(pause_s)
                pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)
            if is_last:
                break
        self._watch.close()
        if not self._pending and self._last_words is not None:
            try:
                self._report = self._last_words()
            except OSError as error:
                again = "`autotune report` makes it once that is mended"
                self.remarks.append(f"no report was logged ({error}); {again}")

    def _collect(self) -> None:
        """Take what is new; wait a moment for it when there is nothing to do."""
        with contextlib.suppress(queue.Empty):
            wait_s = 0.0 if self._pending or self._closing.is_set() else _POLL_S
            self._pending.append(self._new.get(timeout=wait_s) if wait_s else self._new.get(False))
            while True:
                self._pending.append(self._new.get(False))

    def _flush(self) -> bool:
        """Log what is pending; whether the store took it all."""
        assert self._store is not None
        if not self._pending:
            return True
        taken: list[RunRecord] = []

        def note(record: RunRecord) -> None:
            taken.append(record)
            self._progressed_at = time.monotonic()

        try:
            self._store.log(
                list(self._pending),
                on_logged=note,
                attachment=lambda record: tail_path(self._log_dir, record),
            )
            self._watch.begin(self._store, taken)
        except StoreError as error:
            self._error = error
        del self._pending[: len(taken)]
        return not self._pending
