"""The GPU catalogue, its look-up, and detection."""

import csv
import gzip

import pytest

from autotune.catalog.gpus import GpuSpec, ambiguity, detect_cpu, detect_gpus, find_gpu, load_gpus
from autotune.errors import UnknownGpuError
from tests.support.shared_data import DATA

PUBLISHED = DATA / "published_runs.csv.gz"
NOT_A_PART = {"H100-80GB-powercap"}


@pytest.mark.parametrize("spec", load_gpus().values(), ids=lambda spec: spec.name)
def test_entry_is_plausible_and_found_by_all_its_names(spec: GpuSpec) -> None:
    for name in (spec.name, spec.name.lower(), spec.name.replace("-", " "), *spec.aliases):
        assert find_gpu(name) is spec
    assert spec.source
    assert 10 < spec.memory_gb < 400
    assert 200 < spec.bandwidth_gbs < 10_000
    assert spec.fp32_tflops < spec.fp16_tflops
    assert spec.bf16_tflops in (None, spec.fp16_tflops)
    for eight_bit in (spec.fp8_tflops, spec.fp4_tflops):
        assert eight_bit is None or eight_bit > 1.9 * spec.fp16_tflops
    assert 1 <= spec.max_gpus <= 72
    assert 2016 < spec.year < 2030


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("V100-32GB", "bf16_tflops", None),
        ("V100-32GB", "interconnect_gbs", 300),
        ("T4", "bf16_tflops", None),
        ("A100-80GB", "fp16_tflops", 312),
        ("A100-80GB", "interconnect_gbs", 600),
        ("A100-80GB", "fp8_tflops", None),
        ("L40S", "fp16_tflops", 362.05),
        ("H100-80GB", "fp16_tflops", 989.4),
        ("H100-80GB", "interconnect_gbs", 900),
        ("H200", "bandwidth_gbs", 4800),
        ("B200", "interconnect_gbs", 1800),
        ("GB200", "max_gpus", 72),
        ("GH200", "max_gpus", 1),
        ("MI300X", "fp16_tflops", 1307.4),
    ],
)
def test_figures_are_dense_and_as_the_vendor_gives_them(
    name: str, field: str, value: float | None
) -> None:
    assert getattr(find_gpu(name), field) == value


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA H100 80GB HBM3", "H100-80GB"),
        ("NVIDIA H200", "H200"),
        ("Tesla V100-SXM2-32GB", "V100-32GB"),
        ("NVIDIA A100-SXM4-40GB", "A100-40GB"),
        ("NVIDIA A100 80GB PCIe", "A100-80GB-PCIe"),
        ("AMD Instinct MI300X", "MI300X"),
        ("NVIDIA GeForce RTX 4090", "RTX-4090"),
        ("h100", "H100-80GB"),
        ("a100_80gb", "A100-80GB"),
    ],
)
def test_driver_names_and_spellings_resolve(name: str, expected: str) -> None:
    assert find_gpu(name).name == expected


def test_short_name_says_what_it_was_taken_for() -> None:
    sentence = ambiguity("H100")
    assert sentence is not None
    assert "H100-80GB" in sentence
    assert "H100-PCIe, H100-NVL" in sentence
    assert ambiguity("H100-80GB") is None
    assert ambiguity("MI250") is None


def test_unknown_gpu_names_the_nearest() -> None:
    with pytest.raises(UnknownGpuError, match="A100-80GB"):
        find_gpu("A100-81GB")


def test_no_name_means_two_parts() -> None:
    owners: dict[str, str] = {}
    for spec in load_gpus().values():
        for name in (spec.name, *spec.aliases):
            assert owners.setdefault(name.lower(), spec.name) == spec.name


def test_cpu_of_this_machine_is_found_by_its_own_name() -> None:
    cpu = detect_cpu()
    assert find_gpu("cpu") == cpu == find_gpu(cpu.name)
    assert cpu.vendor == "cpu"
    assert "estimated" in cpu.note
    assert min(cpu.memory_gb, cpu.bandwidth_gbs, cpu.fp32_tflops) > 0


def test_cpu_of_another_machine_scales_with_its_cores() -> None:
    small, large = find_gpu("CPU:some-xeon-8c"), find_gpu("CPU:some-xeon-16c")
    assert (small.name, large.name) == ("CPU:some-xeon-8c", "CPU:some-xeon-16c")
    assert large.fp32_tflops == pytest.approx(2 * small.fp32_tflops)
    assert large.memory_gb == 2 * small.memory_gb


def test_detected_gpus_are_in_the_catalogue() -> None:
    assert all(spec.name in load_gpus() for spec in detect_gpus())


@pytest.mark.skipif(not PUBLISHED.exists(), reason="published_runs.csv.gz is not here")
def test_gpus_of_the_published_runs_resolve() -> None:
    with gzip.open(PUBLISHED, "rt", encoding="utf-8") as file:
        names = {row["gpu"] for row in csv.DictReader(file)} - NOT_A_PART
    assert {name: find_gpu(name).name for name in names} == {name: name for name in names}
