"""RunRecords in MLflow: one parent run a study, one child run a configuration.

Knobs and the rest of the configuration are params, measurements are metrics, circumstances are
tags; together they give back the very record that went in. The store of record is MLflow; a
columnar cache beside it (see ``cache.py``) is refreshed by whatever writes here.
"""

import contextlib
import fcntl
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Experiment, Metric, Param, Run, ViewType
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from autotune.cache import RecordCache, store_directory
from autotune.errors import InvalidRecordError, StoreError
from autotune.records import RunRecord
from autotune.reference_runs import reference_folder, study_tags_of, supply
from autotune.run_layout import (
    KIND,
    PARENT,
    RECORD_ID,
    STUDY_ID,
    metrics_of,
    params_of,
    record_of,
    study_id_of,
    study_params,
    study_tags,
    tags_of,
)
from autotune.store_process import (
    SQLITE_PREFIX,
    first_line,
    prepare_database,
    quiet_mlflow,
    redact,
    serve_ui,
)

__all__ = ["EXPERIMENT", "Store", "redact", "serve_ui"]

EXPERIMENT = "autotune"
# MLflow lets the database's own errors and the disk's through in places.
_FAILURES = (MlflowException, SQLAlchemyError, OSError)
_PAGE = 1000
_DOCUMENT_ID = "autotune.document_id"
# What ends a text in a query, or hides what does.
_QUOTING = re.compile(r"[^\w .:/+=@%-]")
_GIVEN = "autotune.reference_runs"


class Store:
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
            with _one_at_a_time(self.directory):
                prepare_database(uri, _lay_out)
                self.client = MlflowClient(tracking_uri=uri)
                self.experiment_id = self._experiment()
                self._take_reference_runs()
        except (*_FAILURES, sqlite3.Error, ImportError, ValueError) as error:
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
        for record in {record.session_id: record for record in new.records}.values():
            run_id = self.study_run(record)
            for name, value in study_tags_of(record).items():
                self.client.set_tag(run_id, name, value)
            self.client.set_terminated(run_id)
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
        """Return the id of the parent run of the record's study, created when new."""
        study_id = study_id_of(record)
        for run in self._search_named("study", STUDY_ID, study_id):
            return str(run.info.run_id)
        run = self.client.create_run(self.experiment_id, tags=study_tags(record))
        params = [Param(name, value) for name, value in study_params(record).items()]
        self.client.log_batch(run.info.run_id, params=params)
        return str(run.info.run_id)

    def finish_study(
        self,
        session_id: str,
        *,
        completed: bool,
        note: str,
        metrics: Mapping[str, float],
        artifacts: Iterable[Path] = (),
    ) -> None:
        """Close a study's parent run with its summary; a study that goes on may be closed again.

        Raises:
            StoreError: When the store refuses.
        """
        with self._refusals("the end of a study"):
            for run in self._search_named("study", STUDY_ID, session_id):
                run_id = run.info.run_id
                self.client.set_tag(run_id, "mlflow.note.content", note)
                for name, value in metrics.items():
                    self.client.log_metric(run_id, name, value)
                for path in artifacts:
                    self.client.log_artifact(run_id, str(path))
                self.client.set_terminated(run_id, "FINISHED" if completed else "KILLED")

    def read(self) -> list[RunRecord]:
        """Read every record out of MLflow and refresh the cache.

        A run that its writer has not finished, or will never finish, is no record yet.
        """
        query = f"tags.`{KIND}` = 'configuration'"
        try:
            found = [_record(run) for run in self._search(query) if _is_whole(run)]
        except StoreError:
            raise
        except _FAILURES as error:
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
    ) -> str:
        """Log a run that is not a configuration (a recommendation, a training); return its id.

        A document that is there already is left as it is.

        Raises:
            StoreError: When the store refuses.
        """
        tags = {
            KIND: kind,
            _DOCUMENT_ID: document_id,
            "mlflow.runName": name,
            "mlflow.note.content": note,
        }
        with self._refusals(f"a {kind}"):
            for run in self._search_named(kind, _DOCUMENT_ID, document_id):
                return str(run.info.run_id)
            run_id = str(self.client.create_run(self.experiment_id, tags=tags).info.run_id)
            self.client.log_batch(
                run_id,
                params=[Param(k, str(v)[:6000]) for k, v in params.items()],
                metrics=[Metric(k, v, 0, 0) for k, v in metrics.items()],
            )
            for path in artifacts:
                self.client.log_artifact(run_id, str(path))
            self.client.set_terminated(run_id)
        return run_id

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Turn what MLflow raises into an error that names the store and what it would not take."""
        try:
            yield
        except _FAILURES as error:
            raise StoreError(
                f"the store {redact(self.uri)} refused {what}: {first_line(error)}"
            ) from error

    def _parent(self, record: RunRecord, known: dict[str, str]) -> str:
        """Return the parent run's id, looked up once a study."""
        study_id = study_id_of(record)
        if study_id not in known:
            known[study_id] = self.study_run(record)
        return known[study_id]

    def _create(self, record: RunRecord, studies: dict[str, str]) -> Run:
        tags = {PARENT: self._parent(record, studies), **tags_of(record)}
        return self.client.create_run(self.experiment_id, tags=tags)

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
        self.client.set_terminated(run_id, status)

    def _delete(self, runs: Iterable[Run]) -> None:
        """Delete runs of a record that has one already: a request was repeated that had arrived."""
        for run in runs:
            self.client.delete_run(run.info.run_id)

    def _held(self, session_ids: set[str | None]) -> dict[str, list[Run]]:
        """Return the runs of each record (of one study, if it is one): whole ones, then oldest."""
        if _is_one_study(session_ids):
            study_id = str(next(iter(session_ids)))
            found = self._search_named("configuration", STUDY_ID, study_id)
        else:
            found = self._search(f"tags.`{KIND}` = 'configuration'")
        held: dict[str, list[Run]] = {}
        order = sorted(found, key=lambda r: (not _is_whole(r), r.info.start_time, r.info.run_id))
        for run in order:
            held.setdefault(run.data.tags[RECORD_ID], []).append(run)
        return held

    def _search_named(self, kind: str, tag: str, name: str) -> Iterator[Run]:
        """Yield the runs of a kind whose tag is a name, whatever characters that has."""
        # To LIKE, an underscore is any one character.
        pattern = _QUOTING.sub("_", name)
        query = f"tags.`{KIND}` = '{kind}' and tags.`{tag}` LIKE '{pattern}'"
        for run in self._search(query):
            if run.data.tags[tag] == name:
                yield run

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
