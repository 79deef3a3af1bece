"""What a study's parent run says of itself."""

from autotune.store.tracking.notes import runs_source, sources_of, study_note
from tests.support.records import record

RUNS = [
    record(batch_size=b, output_throughput=100.0 * b, mean_ttft_ms=10.0 * b) for b in (1, 2, 4)
] + [
    record(
        batch_size=8,
        status="out_of_memory",
        output_throughput=None,
        notes="out of memory | <b>",
        environment={"slo": {"max_ttft_ms": 30}},
    )
]


def test_the_note_has_the_best_the_failures_and_what_to_do_next() -> None:
    note = study_note("s-1", RUNS)
    assert note.text.startswith("best: vllm on 1 x H200, batch 2")
    assert "1 of 4 failed (out of memory)" in note.text
    assert "autotune report s-1" in note.text
    assert "\\<b\\>" in note.text


def test_its_metrics_are_of_the_best_and_its_params_are_shared() -> None:
    note = study_note("s-1", RUNS)
    assert note.metrics["best_output_throughput"] == 200.0
    assert note.metrics["best_batch_size"] == 2
    assert (note.metrics["n_configurations"], note.metrics["n_failed"]) == (4, 1)
    assert note.params["model"] == "meta-llama/Llama-3.1-8B"
    assert "batch_size" not in note.params


def test_a_long_study_is_cut_to_what_a_tag_holds() -> None:
    many = [record(batch_size=b, knobs={"a_long_name_of_a_knob": "x" * 200}) for b in range(1, 300)]
    note = study_note("s-1", many)
    assert len(note.text) < 8000
    assert note.text.endswith("(cut)")


def test_workloads_are_datasets_and_imports_are_one() -> None:
    [workload] = sources_of(RUNS)
    assert (workload.name, workload.context) == ("random prompts, 512/128 tokens", "workload")
    [imported] = sources_of([record(session_id=None, source="else")])
    assert (imported.name, imported.context) == ("runs of else", "import")


def test_the_same_runs_have_the_same_digest() -> None:
    one, other = runs_source("a", RUNS, "training"), runs_source("a", RUNS[::-1], "training")
    assert one == other
    assert one.profile["num_rows"] == 4
    assert runs_source("a", RUNS[1:], "training").digest != one.digest
