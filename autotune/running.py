"""``autotune run``: a study from its options to its journal and its store."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.cache import default_uri, store_directory
from autotune.errors import InvalidConfigError, StoreError
from autotune.journal import open_journal
from autotune.progress import create_progress, outcome
from autotune.records import RunRecord
from autotune.spec import StudySpec
from autotune.study import Study, new_session_id, plan

if TYPE_CHECKING:
    from autotune.tracking import Store

_WORKLOAD = ("mode", "input_len", "output_len")


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """A finished (or interrupted) study.

    Attributes:
        records: Everything the journal holds, earlier sessions included.
        remarks: What the user should know, a sentence each.
    """

    session_id: str
    journal: Path
    records: tuple[RunRecord, ...]
    remarks: tuple[str, ...]

    @property
    def best(self) -> RunRecord | None:
        """The configuration with the highest output throughput."""
        measured = [record for record in self.records if record.is_measured]
        return max(measured, key=lambda r: r.output_throughput or 0, default=None)

    @property
    def summary(self) -> str:
        """Two or three lines for a terminal."""
        n_failed = sum(record.status != "completed" for record in self.records)
        lines = [f"{len(self.records)} configurations, {n_failed} failed; journal {self.journal}"]
        if self.best is not None:
            lines.append(
                f"best: {self.best.engine} on {self.best.n_gpus} x {self.best.gpu}, "
                f"batch {self.best.batch_size}: {outcome(self.best)}"
            )
        return "\n".join([*lines, *self.remarks])


def study_from_options(path: Path | None, options: Mapping[str, Any]) -> StudySpec:
    """Build a study from a YAML file, from options, or from both (options win).

    Args:
        path: Study file, or ``None``.
        options: ``StudySpec`` fields plus ``input_len``, ``output_len``, ``time_budget``; ``None``
            and empty values were not given.

    Raises:
        InvalidConfigError: Naming the key or the value that cannot be.
    """
    data = read_study(path) if path is not None else {}
    given = {name: value for name, value in options.items() if value not in (None, False, {})}
    lengths = {name: given.pop(name) for name in _WORKLOAD if name in given}
    if lengths:
        data["workloads"] = [lengths]
    if "time_budget" in given:
        data["policy"] = {**data.get("policy", {}), "time_budget_s": given.pop("time_budget")}
    data |= given
    if "model" not in data:
        raise InvalidConfigError("no model: give --model NAME or a study file that names one")
    return StudySpec.from_dict(data)


def read_study(path: Path) -> dict[str, Any]:
    """Read a study file.

    Raises:
        InvalidConfigError: When it cannot be read or is not a YAML mapping.
    """
    import yaml

    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InvalidConfigError(f"cannot read study {path}: {error}") from error
    if not isinstance(data, dict):
        raise InvalidConfigError(f"study {path} must be a YAML mapping of settings")
    return data


class StoreLog:
    """Logs records to the store once they are in the journal.

    A store that fails does not stop the study: the journal has everything.
    """

    def __init__(self, store: "Store | None") -> None:
        self.remarks: list[str] = []
        self._store = store

    def log(self, records: Sequence[RunRecord]) -> None:
        """Log records; the first failure is noted and ends the logging."""
        if self._store is None:
            return
        try:
            self._store.log(records)
        except StoreError as error:
            self._store = None
            self.remarks.append(f"{error}; `autotune import` the journal once it is back")


def run_study(
    spec: StudySpec,
    *,
    journal: Path | None = None,
    resume: bool = False,
    tracking_uri: str | None = None,
) -> StudyResult:
    """Run a study to its end and return everything its journal holds.

    Args:
        journal: Journal file. Given without ``tracking_uri``, MLflow is left out altogether (a
            GPU node needs none); otherwise the journal goes beside the store.
        resume: Go on with the journal.

    Raises:
        AutotuneError: Before anything is started, for input that cannot run here.
    """
    if resume and journal is None:
        raise InvalidConfigError("--resume needs the --journal FILE to go on with")
    uri = None if journal is not None and tracking_uri is None else tracking_uri or default_uri()
    directory = journal.parent if journal is not None else store_directory(uri or default_uri())
    session_id = new_session_id()
    path = journal or directory / "journals" / f"{session_id}.jsonl"
    groups = plan(spec)
    store = _open_store(uri)
    with open_journal(path, resume=resume) as opened:
        study = Study(
            spec, opened, groups=groups, session_id=session_id, log_dir=directory / "logs"
        )
        log = StoreLog(store)
        if opened.torn is not None:
            log.remarks.append(f"a torn last line of {path} was set aside in {path}.torn")
        log.log(opened.records)
        completed = False
        try:
            with create_progress(lambda record: log.log([record])) as progress:
                study.run(progress)
            completed = True
        finally:
            result = StudyResult(
                session_id=study.session_id,
                journal=path,
                records=tuple(opened.records),
                remarks=tuple(log.remarks),
            )
            if store is not None:
                _finish(store, result, completed=completed)
    return result


def _open_store(uri: str | None) -> "Store | None":
    if uri is None:
        return None
    from autotune.tracking import Store

    return Store(uri)


def _finish(store: "Store", result: StudyResult, *, completed: bool) -> None:
    """Close the study's parent run with its summary and pictures."""
    from autotune.plots import landscape

    metrics = {}
    if result.best is not None and result.best.output_throughput is not None:
        metrics["best_output_throughput"] = result.best.output_throughput
    try:
        if result.records:
            picture = store.directory / "journals" / f"{result.session_id}-landscape.png"
            landscape(result.records, picture)
            store.finish_study(
                result.session_id,
                completed=completed,
                note=study_note(result),
                metrics=metrics,
                artifacts=[result.journal, picture],
            )
    except StoreError:
        return


def study_note(result: StudyResult) -> str:
    """Return the parent run's description in Markdown."""
    rows = [
        f"| {r.engine} | {r.n_gpus} | {r.batch_size} | {r.input_len}/{r.output_len} "
        f"| {outcome(r)} |"
        for r in result.records
    ]
    head = "| engine | GPUs | batch | tokens in/out | result |\n|---|---|---|---|---|"
    best = "" if result.best is None else f"Best: **{result.summary.splitlines()[1][6:]}**\n\n"
    return best + "\n".join([head, *rows])
