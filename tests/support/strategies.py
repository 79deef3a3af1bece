"""Hypothesis strategies: arbitrary valid RunRecords."""

from typing import Any

from hypothesis import strategies as st

from autotune.schema.record import RunRecord
from autotune.schema.validation import (
    COUNT_FIELDS,
    ENGINES,
    MAY_BE_ZERO,
    METRIC_FIELDS,
    MODES,
    PURPOSES,
    STATUSES,
)

texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20).filter(
    lambda text: text.strip() != ""
)
keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
counts = st.integers(min_value=1, max_value=2**53)
reals = st.floats(min_value=5e-324, max_value=1.7976931348623157e308)
finite = st.floats(allow_nan=False, allow_infinity=False)
knobs = st.dictionaries(
    keys,
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | finite
    | st.text(max_size=5).filter(lambda text: text.isprintable()),
    max_size=3,
)
environments = st.dictionaries(
    keys,
    st.recursive(texts | finite | st.booleans() | st.none(), st.lists, max_leaves=4),
    max_size=3,
)


def _measure(name: str) -> st.SearchStrategy[Any]:
    if name in COUNT_FIELDS:
        return counts
    return reals | st.just(0.0) if name in MAY_BE_ZERO else reals


@st.composite
def run_records(draw: st.DrawFn) -> RunRecord:
    """Draw a record that is valid, with whatever optional fields."""
    optional: dict[str, st.SearchStrategy[Any]] = {
        "input_len": counts,
        "output_len": counts,
        "engine_version": texts,
        "dtype": texts,
        "quantization": texts,
        "session_id": texts,
        "started_at": texts,
        "notes": texts,
        "environment": environments,
        "knobs": knobs,
        "suspect": st.booleans(),
        "mode": st.sampled_from(MODES),
        "purpose": st.sampled_from(PURPOSES),
        **{name: _measure(name) for name in METRIC_FIELDS},
    }
    row = draw(
        st.fixed_dictionaries(
            {
                "source": texts,
                "engine": st.sampled_from(ENGINES),
                "model": texts,
                "gpu": texts,
                "n_gpus": counts,
                "batch_size": counts,
                "status": st.sampled_from(STATUSES),
            },
            optional=optional,
        )
    )
    if row["status"] == "completed":
        row.setdefault("output_throughput", draw(reals))
    return RunRecord(**row)
