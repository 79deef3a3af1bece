"""Optuna's TPE on a measured landscape: in which order would it have run the configurations?"""

from collections.abc import Sequence

from autotune.schema.record import RunRecord
from autotune.schema.study_spec import EngineConfig, StudySpec, Workload
from autotune.study.planning import Planned
from autotune.study.strategies import create_strategy
from recommender.evaluation.protocols import Case


def tpe_order(case: Case, runs: int, seed: int) -> list[int]:
    """Return the first configurations of a study by TPE, as indices into the case's candidates."""
    planned = [
        Planned(
            # What starts is not this but a look-up: TPE reads the configuration alone.
            config=EngineConfig(engine="vllm", model=row.model, gpu=row.gpu),
            workload=Workload(),
            batch_size=row.batch_size,
            configuration=row.configuration,
        )
        for row in case.candidates
    ]
    strategy = create_strategy(StudySpec(model=case.model, strategy="tpe", seed=seed), planned)
    order: list[int] = []
    while len(order) < min(runs, len(planned)):
        chosen = strategy.ask([item for i, item in enumerate(planned) if i not in order])
        if chosen is None:
            break
        index = next(i for i, item in enumerate(planned) if item is chosen)
        strategy.tell(chosen, case.candidates[index])
        order.append(index)
    return order


def case_of(rows: Sequence[RunRecord]) -> Case:
    """Return a measured landscape as a case, of which nothing is known beforehand."""
    first = rows[0]
    return Case(
        harness=first.source,
        engine=first.engine,
        model=first.model,
        source_gpu=None,
        target_gpu=first.gpu,
        candidates=list(rows),
        target_rows=list(rows),
        source_rows=[],
        fold=("", ""),
    )
