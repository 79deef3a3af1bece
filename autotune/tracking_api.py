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
    ) -> str:
        """Log a run that is not a configuration; return its id."""
