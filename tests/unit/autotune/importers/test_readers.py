"""Other people's definitions brought to ours."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.errors import InvalidRecordError, UsageError
from autotune.importers.base import ImportOptions
from autotune.importers.formats import detect
from autotune.importers.readers.published.aiconfigurator import closed_loop_throughput
from autotune.importers.readers.published.llm_inference_bench import throughputs
from autotune.importers.rows import measure, number
from autotune.importers.run import locate, read_file
from tests.contract.importer_cases import (
    CLIENT,
    LLAMA,
    ON_CPU,
    TRT_CSV,
    TRT_TABLE,
    fixture,
    ml_energy,
    optimum,
    pilot,
    put,
)

FIGURE = st.floats(1e-3, 1e6)


def read(folder, name, content, options=None):
    return read_file(put(folder, {name: content}), options=options).records


@given(st.integers(1, 512), st.integers(1, 4096), FIGURE)
def test_llm_inference_bench_counts_prompt_tokens_too(batch, length, latency_s):
    theirs = 2 * batch * length / latency_s
    output, total = throughputs(batch, length, latency_s=latency_s, total=theirs)
    assert output == pytest.approx(theirs / 2)
    assert total == theirs
    for wrong in (theirs / 2, theirs * 2):
        with pytest.raises(InvalidRecordError, match="contradicts its latency"):
            throughputs(batch, length, latency_s=latency_s, total=wrong)


@given(st.integers(1, 4096), st.integers(1, 8192), FIGURE, FIGURE)
def test_a_closed_loop_s_throughput_follows_from_its_latency(users, tokens, ttft, tpot):
    found = closed_loop_throughput(users, tokens, ttft_ms=ttft, tpot_ms=tpot)
    assert found * (ttft + tpot * (tokens - 1)) == pytest.approx(users * tokens * 1000)


@given(st.floats(allow_nan=False, allow_infinity=False), st.booleans())
def test_a_number_is_itself_as_text_too(value, as_text):
    assert number({"x": repr(value) if as_text else value}, "x") == value


@pytest.mark.parametrize("value", [None, "", " ", "nan", "N/A", float("nan")])
def test_what_was_not_measured_is_none(value):
    assert number({"x": value}, "x") is None


@pytest.mark.parametrize("value", ["fast", True, [1], float("inf"), 10**400])
def test_what_is_no_number_is_refused(value):
    with pytest.raises(InvalidRecordError, match="must be a number"):
        number({"a": {"x": value}}, "a", "x")


def test_a_zero_is_no_measurement_and_thousands_are_read():
    assert measure({"x": 0.0}, "x") is None
    assert measure({"x": "10,907"}, "x", scale=4) == 43628


def test_llm_pilot_sums_its_requests(tmp_path):
    [run] = read(tmp_path, "u4.csv", pilot(4))
    assert (run.batch_size, run.input_len, run.output_len) == (4, 100, 4)
    # 8 requests of 4 tokens in 140 ms; the first token after 10 + 30 ms, three more in 30 ms
    assert run.output_throughput == pytest.approx(32 / 0.140)
    assert run.mean_ttft_ms == 40
    assert run.mean_tpot_ms == pytest.approx(10)
    assert run.mean_e2el_ms == 70
    assert run.gpu == "A100-40GB"


def test_llm_pilot_keeps_failed_requests_out_of_the_throughput(tmp_path):
    failed = pilot(1, status="408").decode().splitlines()[1:]
    [run] = read(tmp_path, "u1.csv", pilot(1) + "\n".join(failed).encode() + b"\n")
    assert run.output_throughput == pytest.approx(8 / 0.140)
    assert run.environment["failed_requests"] == 2


def test_ml_energy_counts_pipeline_stages(tmp_path):
    [run] = read(tmp_path, "r.json", ml_energy(TP=4, PP=2))
    assert run.n_gpus == 8
    assert run.knobs == {"pipeline_parallel_size": 2}
    assert run.mean_itl_ms == pytest.approx(50)
    assert run.mean_tpot_ms is None
    assert run.energy_j_per_token == pytest.approx(0.2)


def test_tensorrt_llm_gives_tokens_per_gpu(tmp_path):
    small, large, first = read(tmp_path, "performance_v0.6.md", TRT_TABLE.encode())
    assert (small.n_gpus, small.output_throughput) == (1, 10907)
    assert (large.n_gpus, large.output_throughput) == (4, 4 * 3317)
    assert (first.output_len, first.mean_ttft_ms) == (1, 109)
    assert {run.engine_version for run in (small, large, first)} == {"0.6"}
    assert {run.dtype for run in (small, large, first)} == {"fp8"}
    assert not large.suspect


def test_a_table_that_does_not_say_per_gpu_is_suspect_on_several(tmp_path):
    unsaid = TRT_CSV.replace("/GPU)", ")").encode()
    small, large, _ = read(tmp_path, "t.csv", unsaid, ImportOptions(engine_version="0.5"))
    assert not small.suspect
    assert large.suspect
    assert large.notes is not None
    assert large.engine_version == "0.5"


def test_vllm_serve_s_keys_are_ours(tmp_path):
    content = fixture("vllm_bench_serve_c4.json")
    theirs = json.loads(content)
    [run] = read(tmp_path, "r.json", content, CLIENT)
    assert (run.batch_size, run.input_len, run.output_len) == (4, 64, 32)
    assert run.mean_tpot_ms == theirs["mean_tpot_ms"]
    assert run.total_throughput == theirs["total_token_throughput"]
    assert run.mean_e2el_ms == pytest.approx(1000 * sum(theirs["latencies"]) / 16)
    assert run.started_at == "2026-11-23T22:45:01"
    assert run.environment["source_model"] == "tiny-llama"


def test_a_request_rate_is_a_knob_and_needs_the_batch_size(tmp_path):
    content = fixture("vllm_bench_serve_rate.json")
    path = put(tmp_path, {"r.json": content})
    [rejection] = read_file(path, options=CLIENT).rejected
    assert "--batch-size" in rejection.reason
    [run] = read_file(path, options=replace(CLIENT, batch_size=8)).records
    assert run.knobs == {"workload.request_rate": 8.0}


def test_vllm_throughput_counts_prompt_tokens_too(tmp_path):
    content = fixture("vllm_bench_throughput.json")
    options = replace(CLIENT, batch_size=8, input_len=64, output_len=32)
    [run] = read(tmp_path, "r.json", content, options)
    assert run.output_throughput == pytest.approx(8 * 32 / json.loads(content)["elapsed_time"])
    assert run.total_throughput == json.loads(content)["tokens_per_second"]
    [bare] = read(tmp_path, "r.json", content, replace(CLIENT, batch_size=8))
    assert bare.output_throughput is None


def test_vllm_latency_is_that_of_a_batch(tmp_path):
    options = replace(CLIENT, batch_size=4, input_len=64, output_len=32)
    content = fixture("vllm_bench_latency.json")
    [run] = read(tmp_path, "r.json", content, options)
    mean = json.loads(content)["avg_latency"]
    assert run.output_throughput == pytest.approx(4 * 32 / mean)
    assert run.mean_e2el_ms == pytest.approx(1000 * mean)
    assert run.mode == "closed_batch"


def test_a_sweep_s_settings_are_knobs_and_its_summary_is_not_read_twice(tmp_path):
    run = fixture(
        "vllm_bench_serve_c4.json", lambda r: r | {"max-num-seqs": 8, "tensor_parallel_size": 2}
    )
    files = {"s/run=0.json": run, "s/summary.json": b"[" + run + b"]"}
    [record] = read_file(put(tmp_path, files), options=replace(CLIENT, n_gpus=None)).records
    assert record.knobs == {"max_num_seqs": 8}
    assert record.n_gpus == 2


def test_a_sweep_s_parallel_sizes_multiply_to_the_gpus(tmp_path):
    sizes = {"tensor_parallel_size": 2, "pipeline_parallel_size": 2, "data_parallel_size": 3}
    run = fixture("vllm_bench_serve_c4.json", lambda r: r | sizes)
    [record] = read_file(
        put(tmp_path, {"r.json": run}), options=replace(CLIENT, n_gpus=None)
    ).records
    assert record.n_gpus == 12
    assert record.knobs["data_parallel_size"] == 3


def test_guidellm_s_tpot_leaves_the_first_token_out(tmp_path):
    content = fixture("guidellm.json")
    theirs = json.loads(content)["benchmarks"]
    runs = read(tmp_path, "g.json", content, CLIENT)
    assert [run.batch_size for run in runs] == [2, 4]
    for run, benchmark in zip(runs, theirs, strict=True):
        metrics = benchmark["metrics"]
        assert run.mean_tpot_ms == metrics["inter_token_latency_ms"]["successful"]["mean"]
        assert run.mean_tpot_ms < metrics["time_per_output_token_ms"]["successful"]["mean"]
        whole = run.mean_ttft_ms + run.mean_tpot_ms * (run.output_len - 1)
        assert whole == pytest.approx(run.mean_e2el_ms, rel=0.15)
        assert run.output_throughput == pytest.approx(16 * 32 / benchmark["duration"])


def test_guidellm_s_zeros_of_failed_requests_are_refused(tmp_path):
    path = put(tmp_path, {"g.json": fixture("guidellm_failed.json")})
    file = read_file(path, options=CLIENT)
    assert not file.records
    assert all("none of its requests succeeded" in r.reason for r in file.rejected)


def test_aiperf_s_csv_says_the_same_as_its_json(tmp_path):
    options = replace(CLIENT, batch_size=4)
    [whole] = read(tmp_path, "a.json", fixture("profile_export_aiperf.json"), options)
    [table] = read(tmp_path, "a.csv", fixture("profile_export_aiperf.csv"), options)
    assert table.configuration == whole.configuration
    assert table.output_throughput == pytest.approx(whole.output_throughput, rel=1e-2)
    assert table.p99_tpot_ms == pytest.approx(whole.p99_tpot_ms, rel=1e-2)


def on_gpus():
    """The result of optimum-benchmark, as if of two GPUs whose energy it measured."""
    whole = json.loads(optimum(2, device="cuda", device_ids="0,1", model=LLAMA))
    whole["config"]["environment"]["gpu"] = ["NVIDIA A100-SXM4-80GB"] * 2
    for phase, kwh in {"prefill": 1e-6, "decode": 3e-6}.items():
        whole["report"][phase]["energy"] = {"unit": "kWh", "gpu": kwh}
    return json.dumps(whole).encode()


def test_optimum_benchmark_s_decode_leaves_the_first_token_out(tmp_path):
    report = json.loads(optimum(2))["report"]
    [run] = read(tmp_path, "benchmark.json", optimum(2), ON_CPU)
    theirs = report["decode"]["throughput"]["value"]
    assert theirs == pytest.approx(2 * 7 / report["decode"]["latency"]["mean"])
    assert run.output_throughput == pytest.approx(2 * 8 / report["generate"]["latency"]["mean"])
    assert run.mean_e2el_ms == pytest.approx(report["generate"]["latency"]["mean"] * 1000)
    assert run.mean_tpot_ms == pytest.approx(2 * 1000 / theirs)
    assert run.mean_ttft_ms == pytest.approx(report["prefill"]["latency"]["mean"] * 1000)
    assert (run.engine, run.engine_version, run.repeats) == ("hf", "4.52.4", 93)


def test_optimum_benchmark_s_per_token_counts_steps_again(tmp_path):
    report = json.loads(optimum(2))["report"]
    generations = report["generate"]["latency"]["count"]
    twice = sum(8 * nth - 1 for nth in range(1, generations + 1))
    assert report["per_token"]["latency"]["count"] == twice
    [run] = read(tmp_path, "benchmark.json", optimum(2), ON_CPU)
    assert run.mean_itl_ms is None


def test_optimum_benchmark_names_its_gpus_and_their_energy(tmp_path):
    [run] = read(tmp_path, "benchmark.json", on_gpus())
    assert run.energy_j_per_token == pytest.approx(4e-6 * 3.6e6 / 16)
    assert (run.gpu, run.n_gpus) == ("A100-80GB", 2)


def test_optimum_benchmark_s_two_files_are_one_result(tmp_path):
    whole = json.loads(on_gpus())
    files = {
        f"benchmark_{part}.json": json.dumps(whole[part]).encode() for part in ("config", "report")
    }
    assert detect(put(tmp_path, files)) == "optimum-benchmark"
    assert len(read_file(tmp_path).records) == 1
    assert len(read_file(tmp_path / "benchmark_report.json").records) == 1


@pytest.mark.parametrize("name", ["engine", "gpu", "n_gpus"])
def test_what_a_client_cannot_see_must_be_given(tmp_path, name):
    path = put(tmp_path, {"g.json": fixture("guidellm.json")})
    [first, _] = read_file(path, options=replace(CLIENT, **{name: None})).rejected
    assert f"give --{name.replace('_', '-')}" in first.reason


def test_an_option_that_contradicts_the_file_is_refused(tmp_path):
    path = put(tmp_path, {"benchmark.json": on_gpus()})
    [rejection] = read_file(path, options=ImportOptions(gpu="H200")).rejected
    assert "--gpu says 'H200'" in rejection.reason


def test_options_do_not_touch_rows_that_say_everything(tmp_path):
    path = put(tmp_path, {"r.json": ml_energy()})
    with pytest.raises(UsageError, match="leave --gpu out"):
        read_file(path, options=ImportOptions(gpu="H200"))


def test_an_unknown_alias_is_named_with_the_option_that_helps(tmp_path):
    path = put(tmp_path, {"g.json": fixture("guidellm.json")})
    [first, _] = read_file(path, options=replace(CLIENT, model=None)).rejected
    assert "tiny-llama" in first.reason
    assert "--model" in first.reason


def test_a_folder_of_several_formats_is_refused(tmp_path):
    put(tmp_path, {"a.json": ml_energy(), "b.csv": TRT_CSV.encode()})
    with pytest.raises(UsageError, match="several formats"):
        detect(tmp_path)


def test_a_folder_of_tables_is_read_file_by_file(tmp_path):
    put(tmp_path, {"a.csv": TRT_CSV.encode(), "v1/b_v0.9.csv": TRT_CSV.encode()})
    file = read_file(tmp_path)
    assert len(file.records) == 6
    assert {place.file.name for place in file.places} == {"a.csv", "b_v0.9.csv"}


def test_a_damaged_json_document_is_one_refused_row(tmp_path):
    files = {"a.json": ml_energy(), "b.json": ml_energy()[:-1].replace(b", ", b",\n")}
    file = read_file(put(tmp_path, files))
    assert len(file.records) == 1
    [rejection] = file.rejected
    assert rejection.file == tmp_path / "b.json"
    assert "not a JSON object" in rejection.reason


def test_the_installed_package_brings_its_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "autotune.importers.readers.published.aiconfigurator.PACKAGE", "brings_a_table"
    )
    with pytest.raises(UsageError, match=r"autotune-serving\[aiconfigurator\]"):
        locate(Path("aiconfigurator"), download=False)
    table = tmp_path / "brings_a_table" / "systems" / "silicon_sample.csv"
    put(tmp_path, {"brings_a_table/__init__.py": b"", str(table): b"id,isl\n"})
    monkeypatch.syspath_prepend(tmp_path)
    assert locate(Path("aiconfigurator"), download=False) == table
