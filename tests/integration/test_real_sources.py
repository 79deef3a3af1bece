"""The importers over the files as their authors published them, where these lie beside the project.

``../shared/data`` is never part of the repository; without it these tests say so and are skipped.
"""

import collections

import pytest

from autotune.errors import UsageError
from autotune.importers.run import read_file, screened
from tests.support.shared_data import DATA

RAW = DATA / "raw"
STARCODER = ("bigcode/starcoder", 1, 1)
needs_raw = pytest.mark.skipif(
    not RAW.is_dir(), reason=f"the published files were not read: they are not at {RAW}"
)


def read(place):
    return screened(read_file(RAW / place))


def reasons(file):
    return collections.Counter(r.reason.split("=")[0].split(":")[0] for r in file.rejected)


@needs_raw
def test_llm_inference_bench():
    file = read("llm_inference_bench/All_results.csv")
    assert (file.format, file.n_rows) == ("llm-inference-bench", 3680)
    assert len(file.records) == 1962
    assert reasons(file) == {"Framework": 1671, "duplicate key": 47}
    assert all(
        run.total_throughput == pytest.approx(2 * run.output_throughput, rel=0.2)
        for run in file.records
    )


@needs_raw
def test_llm_pilot():
    file = read("llm_pilot")
    assert (file.format, len(file.records), file.rejected) == ("llm-pilot", 8, [])
    one = next(r for r in file.records if (r.model, r.n_gpus, r.batch_size) == STARCODER)
    # the same figures as in the collected table
    assert one.output_throughput == pytest.approx(28.6126, rel=1e-4)
    assert (one.input_len, one.output_len, one.gpu) == (125, 21, "A100-40GB")
    assert one.median_ttft_ms == pytest.approx(84.5, rel=0.1)


@needs_raw
def test_trtllm():
    file = read("trtllm/performance_v0.6.md")
    assert (file.format, len(file.records), file.rejected) == ("trtllm", 58, [])
    several = [run for run in file.records if run.n_gpus > 1 and run.output_throughput]
    assert several
    assert all(run.suspect and run.notes for run in several)


@needs_raw
def test_a_public_table_of_another_format_is_refused():
    with pytest.raises(UsageError, match="looked for"):
        read("splitwise/perf_model.csv")
