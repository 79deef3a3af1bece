"""Measure LLM serving configurations, log them, and advise on the next GPU.

>>> from autotune import run
>>> run(model="demo-model", engines="hf", batch_sizes="1:16", input_len=64)  # doctest: +SKIP
"""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autotune.version import __version__

if TYPE_CHECKING:
    from autotune.schema.study_spec import StudySpec
    from autotune.study.result import StudyResult
    from autotune.study.strategies import StrategyFactory

__all__ = ["__version__", "run"]


def run(
    study: "StudySpec | Path | str | None" = None,
    *,
    journal: "Path | str | None" = None,
    resume: bool = False,
    tracking_uri: str | None = None,
    surrogate: "Callable[[str], StrategyFactory] | None" = None,
    **settings: Any,
) -> "StudyResult":
    """Run a study as ``autotune run`` does, and return what came of it.

    Args:
        study: What to measure: a ``StudySpec``, or a study file whose settings ``settings`` change.
        journal: Journal file. Given without ``tracking_uri``, MLflow is left out altogether.
        resume: Go on with the journal.
        surrogate: For ``strategy="surrogate"``: ``recommender.commands.search.surrogate_search``.
        settings: The options of ``autotune run`` by their names with underscores: ``model``,
            ``engines``, ``batch_sizes``, ``input_len``, ``time_budget`` and so on.

    Raises:
        AutotuneError: Before anything is started, for input that cannot run here.
    """
    from autotune.schema.loading import study_from_options
    from autotune.schema.study_spec import StudySpec
    from autotune.store.location import default_uri
    from autotune.study.run import run_study

    if isinstance(study, StudySpec):
        spec = study
    else:
        spec = study_from_options(None if study is None else Path(study), settings)
    return run_study(
        spec,
        journal=None if journal is None else Path(journal),
        resume=resume,
        tracking_uri=tracking_uri,
        surrogate=None if surrogate is None else surrogate(tracking_uri or default_uri()),
    )
