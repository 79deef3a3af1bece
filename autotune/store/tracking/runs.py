"""Runs of one MLflow experiment: found by their tags, described, illustrated and linked."""

import abc
import contextlib
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, InputTag, Run
from mlflow.exceptions import MlflowException
from sqlalchemy.exc import SQLAlchemyError

from autotune.errors import StoreError
from autotune.store.tracking.layout import DOCUMENT_ID, KIND, NOTE, STUDY_ID, Source
from autotune.store.tracking.server import first_line, redact

# MLflow lets the database's own errors and the disk's through in places.
FAILURES = (MlflowException, SQLAlchemyError, OSError)
REPORT_FOLDER, HAS_REPORT = "report", "autotune.has_report"
_SAMPLE_S = 1.0
# What ends a text in a query, or hides what does.
_QUOTING = re.compile(r"[^\w .:/+=@%-]")


class RunBook(abc.ABC):
    """The runs of one experiment.

    Attributes:
        client: MLflow's client of the store.
        experiment_id: The experiment that everything is logged to.
    """

    client: MlflowClient
    experiment_id: str
    uri: str

    @abc.abstractmethod
    def _search(self, query: str) -> Iterator[Run]:
        """Yield the runs that an MLflow filter finds, the newest first."""

    def find_study(self, study_id: str) -> Run | None:
        """Return the parent run of a study: its own, or the confirmation that ran it."""
        others = f"tags.`{KIND}` != 'configuration'"
        return next(self._search_named(others, STUDY_ID, study_id), None)

    def find_document(self, kind: str, document_id: str) -> str | None:
        """Return the id of a logged document's run."""
        found = self._search_named(f"tags.`{KIND}` = '{kind}'", DOCUMENT_ID, document_id)
        return next((str(run.info.run_id) for run in found), None)

    def _search_named(self, query: str, tag: str, name: str) -> Iterator[Run]:
        """Yield the runs of a query whose tag is a name, whatever characters that has."""
        # To LIKE, an underscore is any one character.
        pattern = _QUOTING.sub("_", name)
        for run in self._search(f"{query} and tags.`{tag}` LIKE '{pattern}'"):
            if run.data.tags[tag] == name:
                yield run

    @contextlib.contextmanager
    def _refusals(self, what: str) -> Iterator[None]:
        """Turn what MLflow raises into an error that names the store and what it would not take."""
        try:
            yield
        except StoreError:
            raise
        except FAILURES as error:
            raise StoreError(
                f"the store {redact(self.uri)} refused {what}: {first_line(error)}"
            ) from error

    def amend(
        self,
        run_id: str,
        *,
        note: str | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change what a run says of itself."""
        described = {} if note is None else {NOTE: note}
        for tag, text in {**(tags or {}), **described}.items():
            self.client.set_tag(run_id, tag, text)
        for name, value in (metrics or {}).items():
            self.client.log_metric(run_id, name, value)

    def note_of(self, run_id: str) -> str:
        """Return a run's description."""
        return str(self.client.get_run(run_id).data.tags.get(NOTE, ""))

    def link(self, run_id: str, text: str) -> str:
        """Return a Markdown link to a run, as MLflow's pages resolve it."""
        return f"[{text}](#/experiments/{self.experiment_id}/runs/{run_id})"

    def attach_report(self, run_id: str, files: Iterable[Path]) -> None:
        """Put a report among a run's artifacts and its first picture into the description."""
        pictures = []
        for path in files:
            self.client.log_artifact(run_id, str(path), REPORT_FOLDER)
            pictures += [path.name] if path.suffix == ".png" else []
        note = self.note_of(run_id)
        if pictures and _picture(run_id) not in note:
            # behind the first paragraph: MLflow folds long descriptions
            first, _, rest = note.partition("\n\n")
            picture = f"![{pictures[0]}]({_picture(run_id)}{pictures[0]})"
            note = f"{first}\n\n{picture}\n\n{rest}"
        self.amend(run_id, note=note, tags={HAS_REPORT: "true"})

    def without_report(self, kind: str) -> Iterator[tuple[str, str]]:
        """Yield study or document id and run id of the runs that have no report, newest first."""
        for run in self._search(f"tags.`{KIND}` = '{kind}'"):
            tags = run.data.tags
            own = tags.get(DOCUMENT_ID, tags.get(STUDY_ID))
            if HAS_REPORT not in tags and own is not None:
                yield own, str(run.info.run_id)

    def log_sources(self, run_id: str, sources: Iterable[Source]) -> None:
        """Log as datasets what a run worked on."""
        inputs = [
            DatasetInput(
                Dataset(
                    name=source.name,
                    digest=source.digest,
                    source_type="autotune",
                    source=json.dumps({"description": source.name}),
                    profile=json.dumps(dict(source.profile)),
                ),
                [InputTag("mlflow.data.context", source.context)],
            )
            for source in sources
        ]
        if inputs:
            self.client.log_inputs(run_id, datasets=inputs)

    @contextlib.contextmanager
    def watch(self, run_id: str) -> Iterator[None]:
        """Log the host's use of processors, memory and GPUs once a second meanwhile.

        Raises:
            StoreError: When the store refuses.
        """
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        # MLflow's monitor ends with the run: one that goes on is running again
        with self._refusals("a look at the host"):
            self.client.update_run(run_id, status="RUNNING")
            monitor = SystemMetricsMonitor(
                run_id, sampling_interval=_SAMPLE_S, resume_logging=True, tracking_uri=self.uri
            )
            monitor.start()
        try:
            yield
        finally:
            monitor.finish()


def _picture(run_id: str) -> str:
    """Return the address of a run's report folder as MLflow's pages resolve it."""
    return f"get-artifact?run_uuid={run_id}&path={REPORT_FOLDER}/"
