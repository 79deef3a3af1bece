"""RunRecords in MLflow: one parent run a study, one child run a configuration.

Knobs and the rest of the configuration are params, measurements are metrics, circumstances are
tags; together they give back the very record that went in. The store of record is MLflow; a
columnar cache beside it (see ``cache.py``) is refreshed by whatever writes here.
"""

import contextlib
import fcntl
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException

from autotune.errors import InvalidRecordError, StoreError
from autotune.schema.record import RunRecord
from autotune.store.bundled import reference_folder, study_tags_of, supply
from autotune.store.cache import RecordCache
from autotune.store.location import SQLITE_PREFIX, remember_owner, store_directory
from autotune.store.tracking.layout import (
    DOCUMENT_ID,
    KIND,
    NOTE,
    PARENT,
    RECORD_ID,
    STUDY_ID,
    metrics_of,
    params_of,
    record_of,
    span_ms,
    study_id_of,
    study_params,
    study_tags,
    tags_of,
)
from autotune.store.tracking.notes import sources_of, study_note
from autotune.store.tracking.runs import FAILURES, RunBook
from autotune.store.tracking.saved_views import FURNISHED, VERSION, furnishing
from autotune.store.tracking.server import (
    first_line,
    prepare_database,
    quiet_mlflow,
    redact,
    serve_ui,
)

__all__ = ["EXPERIMENT", "Store", "redact", "serve_ui"]

EXPERIMENT = "autotune"
_PAGE = 1000
_CONFIGURATIONS = f"tags.`{KIND}` = 'configuration'"
_GIVEN = "autotune.store.transfer"


class Store(RunBook):
    """An open tracking store.

    The default store of a checkout is given its reference runs when it is opened.

    Args:
        uri: Anything MLflow takes as a tracking URI.

    Raises:
        StoreError: When it cannot be opened; names the store and what MLflow said.
        JournalError: When a journal of the reference runs is damaged.
    """

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.directory = store_directory(uri)
        self.cache = RecordCache(self.directory)
        quiet_mlflow()
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            remember_owner(uri)
            with _one_at_a_time(self.directory):
                prepare_database(uri, _lay_out)
                self.client = MlflowClient(tracking_uri=uri)
                self.experiment_id = self._experiment()
                self._furnish()
                self._take_reference_runs()
        except (*FAILURES, sqlite3.Error, ImportError, ValueError) as error:
            raise StoreError(f"cannot open the store {redact(uri)}: {first_line(error)}") from error

    def _experiment(self) -> str:
        found: Experiment | None = self.client.get_experiment_by_name(EXPERIMENT)
        if found is not None:
            return str(found.experiment_id)
        location = None
        if self.uri.startswith(SQLITE_PREFIX):
            location = (self.directory / "artifacts").resolve().as_uri()
        try:
            return str(self.client.create_experiment(EXPERIMENT, artifact_location=location))
        except MlflowException:
            # Somebody else may have created it just now.
            found = self.client.get_experiment_by_name(EXPERIMENT)
            if found is None:
                raise
            return str(found.experiment_id)

    def _furnish(self) -> None:
        """Give the experiment its views once; what a user changes of them stays."""
        tags = self.client.get_experiment(self.experiment_id).tags
        if tags.get(FURNISHED) != VERSION:
            for name, value in furnishing().items():
                self.client.set_experiment_tag(self.experiment_id, name, value)

    def _take_reference_runs(self) -> None:
        """Log the runs that came with the checkout, if this is its store and lacks some."""
        folder = reference_folder(self.uri)
        if folder is None:
            return
        tags = self.client.get_experiment(self.experiment_id).tags
        new = supply(folder, json.loads(tags.get(_GIVEN, "{}")))
        if not new.records:
            return
        self.log(new.records)
        self.finish_imported(new.records)
        for record in {record.session_id: record for record in new.records}.values():
            run_id = self.study_run(record)
            self.amend(run_id, tags=study_tags_of(record, self.note_of(run_id)))
        self.client.set_experiment_tag(self.experiment_id, _GIVEN, json.dumps(new.given))

    def log(
        self,
        records: Sequence[RunRecord],
        *,
        on_logged: Callable[[RunRecord], None] | None = None,
        attachment: Callable[[RunRecord], Path] | None = None,
    ) -> int:
        """Log the records that the store does not hold yet; return how many those were.

        Args:
            on_logged: Called with each record, held before or not.
            attachment: Names the file that goes with a record as an artifact, if it is there.

        Raises:
            StoreError: When the store refuses; what was logged before it stays.
        """
        new: list[RunRecord] = []
        studies: dict[str, str] = {}
        sessions = {record.session_id for record in records}
        was_empty = False
        try:
            with self._refusals("a run"):
                held = self._held(sessions)
                was_empty = not held and not _is_one_study(sessions)
                done = {record_id for record_id, runs in held.items() if _is_whole(runs[0])}
                for record in records:
                    begun = held.pop(record.record_id, [])
                    self._delete(begun[1:])
                    if record.record_id not in done:
                        path = None if attachment is None else attachment(record)
                        run = begun[0] if begun else self._create(record, studies)
                        self._fill(run, record, path)
                        done.add(record.record_id)
                        new.append(record)
                    if on_logged is not None:
                        on_logged(record)
        finally:
            if new and not self.cache.extend(new):
                self._fill_cache(new, complete=was_empty)
        return len(new)

    def _fill_cache(self, new: Sequence[RunRecord], *, complete: bool) -> None:
        """Write the first cache: of what was just logged, if that is all the store holds."""
        if complete:
            self.cache.replace(new)
        else:
            self.read()

    def study_run(self, record: RunRecord) -> str:
        """Return the id of the parent run of the record's study, created when new.

        Raises:
            StoreError: When the store refuses.
        """
        with self._refusals("a study"):
            found = self.find_study(study_id_of(record))
            if found is not None:
                return str(found.info.run_id)
            start, _ = span_ms(record)
            tags = study_tags(record)
            run = self.client.create_run(self.experiment_id, start_time=start, tags=tags)
            params = [Param(name, value) for name, value in study_params(record).items()]
            self.client.log_batch(run.info.run_id, params=params)
            return str(run.info.run_id)

    def finish_study(
        self,
        study_id: str,
        records: Sequence[RunRecord],
        *,
        completed: bool = True,
        verdict: Sequence[str] = (),
        report: Sequence[Path] = (),
        artifacts: Iterable[Path] = (),
    ) -> None:
        """Close a study's parent run with its summary; a study that goes on may be closed again.

        Args:
            records: All its runs.
            verdict: Sentences on the best and the baselines.
            report: Its report's files; the first picture is shown in its description.

        Raises:
            StoreError: When the store refuses.
        """
        with self._refusals("the end of a study"):
            run = self.find_study(study_id)
            if run is not None and records:
                self._close_study(run, records, verdict=verdict, report=report, artifacts=artifacts)
                self._end(run, records, completed=completed)

    def _close_study(
        self,
        run: Run,
        records: Sequence[RunRecord],
        *,
        verdict: Sequence[str],
        report: Sequence[Path],
        artifacts: Iterable[Path],
    ) -> None:
        run_id = str(run.info.run_id)
        note = study_note(str(run.data.tags[STUDY_ID]), records, verdict)
        own = run.data.tags.get(KIND) == "study"
        self.amend(run_id, note=note.text if own else None, metrics=note.metrics)
        new = [Param(k, v) for k, v in note.params.items() if k not in run.data.params]
        self.client.log_batch(run_id, params=new)
        self.log_sources(run_id, sources_of(records))
        for path in artifacts:
            self.client.log_artifact(run_id, str(path))
        if report:
            self.attach_report(run_id, report)

    def _end(self, run: Run, records: Sequence[RunRecord], *, completed: bool) -> None:
        ends = [end for record in records if (end := span_ms(record)[1]) is not None]
        self.client.set_terminated(
            run.info.run_id,
            "FINISHED" if completed else "KILLED",
            end_time=max(ends, default=None),
        )

    def finish_imported(self, records: Sequence[RunRecord]) -> None:
        """Close the parent runs of the studies that records were imported for."""
        studies: dict[str, list[RunRecord]] = {study_id_of(r): [] for r in records}
        for record in self.cache.read() or self.read():
            if study_id_of(record) in studies:
                studies[study_id_of(record)].append(record)
        for study_id, rows in studies.items():
            self.finish_study(study_id, rows)

    def read(self) -> list[RunRecord]:
        """Read every record out of MLflow and refresh the cache.

        A run that its writer has not finished, or will never finish, is no record yet.
        """
        try:
            found = [_record(run) for run in self._search(_CONFIGURATIONS) if _is_whole(run)]
        except StoreError:
            raise
        except FAILURES as error:
            raise StoreError(
                f"cannot read the store {redact(self.uri)}: {first_line(error)}"
            ) from error
        records = list({record.record_id: record for record in reversed(found)}.values())
        self.cache.replace(records)
        return records

    def log_document(
        self,
        *,
        kind: str,
        name: str,
        document_id: str,
        params: Mapping[str, Any],
        metrics: Mapping[str, float],
        note: str,
        artifacts: Iterable[Path],
        parent: str | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> str:
        """Log a run that is not a configuration (a recommendation, a training); return its id.

        A document that is there already is left as it is.

        Args:
            parent: Id of the run that it belongs under.
            tags: Further tags.

        Raises:
            StoreError: When the store refuses.
        """
        above = {} if parent is None else {PARENT: parent}
        own = {KIND: kind, DOCUMENT_ID: document_id, "mlflow.runName": name, NOTE: note}
        all_tags = {**(tags or {}), **above, **own}
        with self._refusals(f"a {kind}"):
            found = self.find_document(kind, document_id)
            if found is not None:
                return found
            run_id = str(self.client.create_run(self.experiment_id, tags=all_tags).info.run_id)
            self.client.log_batch(
                run_id,
                params=[Param(k, str(v)[:6000]) for k, v in params.items()],
                metrics=[Metric(k, v, 0, 0) for k, v in metrics.items()],
            )
            for path in artifacts:
                self.client.log_artifact(run_id, str(path))
            self.client.set_terminated(run_id)
        return run_id

    def _parent(self, record: RunRecord, known: dict[str, str]) -> str:
        """Return the parent run's id, looked up once a study."""
        study_id = study_id_of(record)
        if study_id not in known:
            known[study_id] = self.study_run(record)
        return known[study_id]

    def _create(self, record: RunRecord, studies: dict[str, str]) -> Run:
        tags = {PARENT: self._parent(record, studies), **tags_of(record)}
        start, _ = span_ms(record)
        return self.client.create_run(self.experiment_id, start_time=start, tags=tags)

    def _fill(self, run: Run, record: RunRecord, attachment: Path | None) -> None:
        """Write a record into its run and end that; what an interrupted writer began is completed.

        Only an ended run is whole.
        """
        run_id, at = run.info.run_id, run.info.start_time
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, at, 0) for name, value in metrics_of(record).items()],
            params=[Param(name, value) for name, value in params_of(record).items()],
        )
        if attachment is not None and attachment.is_file():
            self.client.log_artifact(run_id, str(attachment))
        status = "FINISHED" if record.status == "completed" else "FAILED"
        _, end = span_ms(record)
        self.client.set_terminated(run_id, status, end_time=end)

    def _delete(self, runs: Iterable[Run]) -> None:
        """Delete runs of a record that has one already: a request was repeated that had arrived."""
        for run in runs:
            self.client.delete_run(run.info.run_id)

    def _held(self, session_ids: set[str | None]) -> dict[str, list[Run]]:
        """Return the runs of each record (of one study, if it is one): whole ones, then oldest."""
        if _is_one_study(session_ids):
            study_id = str(next(iter(session_ids)))
            found = self._search_named(_CONFIGURATIONS, STUDY_ID, study_id)
        else:
            found = self._search(_CONFIGURATIONS)
        held: dict[str, list[Run]] = {}
        order = sorted(found, key=lambda r: (not _is_whole(r), r.info.start_time, r.info.run_id))
        for run in order:
            held.setdefault(run.data.tags[RECORD_ID], []).append(run)
        return held

    def _search(self, query: str) -> Iterator[Run]:
        token = None
        while True:
            page = self.client.search_runs(
                [self.experiment_id], query, ViewType.ACTIVE_ONLY, _PAGE, page_token=token
            )
            yield from page
            token = page.token
            if not token:
                return


@contextlib.contextmanager
def _one_at_a_time(directory: Path) -> Iterator[None]:
    """Let one process of this host after the other open a store: MLflow builds its tables then."""
    with (directory / ".opening.lock").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _lay_out(uri: str) -> None:
    """Have MLflow create its tables."""
    MlflowClient(tracking_uri=uri).get_experiment_by_name(EXPERIMENT)


def _is_whole(run: Run) -> bool:
    """Whether the writer of a run got to its end."""
    return bool(run.info.status != "RUNNING")


def _is_one_study(session_ids: set[str | None]) -> bool:
    return len(session_ids) == 1 and None not in session_ids


def _record(run: Run) -> RunRecord:
    try:
        return record_of(run.data.params, run.data.tags, run.data.metrics)
    except InvalidRecordError as error:
        raise StoreError(f"run {run.info.run_id} is not a RunRecord any more: {error}") from error
