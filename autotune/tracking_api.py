"""The part of a store that others write documents to; importing this does not import MLflow."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol


class DocumentStore(Protocol):
    """Anything with a directory of its own that logs documents, see ``tracking.Store``."""

    directory: Path

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
        """Log a run that is not a configuration; return its id."""

    def find_document(self, kind: str, document_id: str) -> str | None:
        """Return the id of a logged document's run."""

    def amend(
        self,
        run_id: str,
        *,
        note: str | None = None,
        metrics: Mapping[str, float] | None = None,
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Change what a run says of itself."""

    def note_of(self, run_id: str) -> str:
        """Return a run's description."""

    def link(self, run_id: str, text: str) -> str:
        """Return a Markdown link to a run."""
