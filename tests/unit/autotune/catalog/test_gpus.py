"""The GPU catalogue, its look-up, and detection."""

import csv
import gzip

import pytest

from autotune.catalog.gpu_catalogue import not_supported, short_names
from autotune.catalog.gpu_sheet import normalise
from autotune.catalog.gpus import GpuSpec, ambiguity, detect_cpu, detect_gpus, find_gpu, load_gpus
from autotune.errors import UnknownGpuError, UnsupportedGpuError
from tests.support.shared_data import DATA

PUBLISHED = DATA / "published_runs.csv.gz"
NOT_A_PART = {"H100-80GB-powercap"}


@pytest.mark.parametrize("spec", load_gpus().values(), ids=lambda spec: spec.name)
def test_entry_is_plausible_and_found_by_all_its_names(spec: GpuSpec) -> None:
    for name in (spec.name, spec.name.lower(), spec.name.replace("-", " "), *spec.aliases):
        assert find_gpu(name) is spec
    assert spec.source
    is_slice = "-MIG-" in spec.name
    assert (4 if is_slice else 7.5) < spec.memory_gb < 400
    assert (150 if is_slice else 199) < spec.bandwidth_gbs < 10_000
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
        ("L20", "fp16_tflops", 119.5),
        ("RTX-5000-Ada", "fp8_tflops", 522.2),
        ("RTX-5080", "fp4_tflops", 900.4),
        ("Quadro-RTX-8000", "bf16_tflops", None),
        ("GB300", "int8_tops", None),
        ("MI350X", "fp4_tflops", 9227.5),
        ("MI300A", "max_gpus", 4),
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
        ("NVIDIA L20", "L20"),
        ("NVIDIA L2", "L2"),
        ("NVIDIA A2", "A2"),
        ("NVIDIA A16", "A16"),
        ("NVIDIA GeForce RTX 3080", "RTX-3080-10GB"),
        ("NVIDIA GeForce RTX 3080 Ti", "RTX-3080-Ti"),
        ("NVIDIA GeForce RTX 4070", "RTX-4070"),
        ("NVIDIA GeForce RTX 4070 Ti", "RTX-4070-Ti"),
        ("NVIDIA GeForce RTX 4070 Ti SUPER", "RTX-4070-Ti-SUPER"),
        ("NVIDIA GeForce RTX 4080 SUPER", "RTX-4080-SUPER"),
        ("NVIDIA GeForce RTX 5060 Ti", "RTX-5060-Ti-16GB"),
        ("Quadro RTX 6000", "Quadro-RTX-6000"),
        ("NVIDIA RTX 6000 Ada Generation", "RTX-6000-Ada"),
        ("NVIDIA RTX 4500 Ada Generation", "RTX-4500-Ada"),
        ("NVIDIA RTX PRO 4500 Blackwell", "RTX-PRO-4500"),
        ("NVIDIA RTX PRO 5000 Blackwell", "RTX-PRO-5000"),
        ("NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", "RTX-PRO-6000-Max-Q"),
        ("NVIDIA GB300", "GB300"),
        ("NVIDIA GB10", "GB10"),
        ("AMD Instinct MI308X", "MI308X"),
        ("NVIDIA A100-SXM4-40GB MIG 1g.5gb", "A100-40GB-MIG-1g.5gb"),
        ("NVIDIA A100 80GB PCIe MIG 3g.40gb", "A100-80GB-PCIe-MIG-3g.40gb"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "H100-80GB-MIG-1g.10gb"),
        ("NVIDIA H100 NVL MIG 3g.47gb", "H100-NVL-MIG-3g.47gb"),
        ("NVIDIA H200 MIG 1g.18gb", "H200-MIG-1g.18gb"),
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
    with pytest.raises(UnknownGpuError, match=r"A100-80GB, .*--gpu-file") as caught:
        find_gpu("A100-81GB")
    assert "MIG" not in str(caught.value)
    with pytest.raises(UnknownGpuError, match=r"H100-80GB-MIG-1g\.10gb"):
        find_gpu("H100-80GB-MIG-1g.11gb")


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Gaudi 3", "Gaudi 3"),
        ("Intel Gaudi 3", "Gaudi 3"),
        ("HL-325L", "Gaudi 3"),
        ("Ascend 910B3", "Ascend"),
        ("Huawei Ascend 910C", "Ascend"),
        ("Intel(R) Arc(TM) A770 Graphics", "Intel Arc"),
        ("Arc Pro B60", "Intel Arc"),
        ("TPU v5e", "TPU"),
        ("Apple M3 Max", "Apple silicon"),
        ("Tesla P40", "a GPU before Volta"),
        ("Tesla P100-PCIE-16GB", "a GPU before Volta"),
        ("NVIDIA GeForce GTX 1080 Ti", "a GPU before Volta"),
        ("Trainium2", "AWS Neuron"),
    ],
)
def test_hardware_of_unlike_software_is_named_with_a_way_to_bring_runs(
    name: str, kind: str
) -> None:
    with pytest.raises(UnsupportedGpuError) as caught:
        find_gpu(name)
    message = str(caught.value)
    assert f"({kind}) is not supported: " in message
    assert "autotune import FILE --gpu-file" in message
    assert isinstance(caught.value, UnknownGpuError)


def test_what_is_not_supported_is_no_name_of_the_catalogue() -> None:
    for spec in load_gpus().values():
        assert [n for n in (spec.name, *spec.aliases) if not_supported(n)] == []
    for name in ("NVIDIA GeForce GTX 1660 Ti", "NVIDIA GeForce RTX 2080 Ti", "RTX A5000", "B100"):
        assert not_supported(name) is None


# SMs, boost clock in MHz, and fp16 FLOPs with fp32 accumulation of an SM in a clock: half of what
# the tensor cores do with fp16 accumulation on GeForce parts.
COMPUTE = {
    "T4": (40, 1590, 1024),
    "Quadro-RTX-6000": (72, 1770, 1024),
    "Quadro-RTX-8000": (72, 1770, 1024),
    "A2": (10, 1770, 1024),
    "A16": (10, 1755, 1024),
    "RTX-3060": (28, 1777, 512),
    "RTX-3060-Ti": (38, 1665, 512),
    "RTX-3070": (46, 1725, 512),
    "RTX-3080-10GB": (68, 1710, 512),
    "RTX-3080-12GB": (70, 1710, 512),
    "RTX-3080-Ti": (80, 1665, 512),
    "RTX-3090": (82, 1695, 512),
    "RTX-3090-Ti": (84, 1860, 512),
    "L2": (58, 1625, 1024),
    "L20": (92, 2537, 512),
    "RTX-4060": (24, 2460, 512),
    "RTX-4060-Ti-16GB": (34, 2535, 512),
    "RTX-4060-Ti-8GB": (34, 2535, 512),
    "RTX-4070": (46, 2475, 512),
    "RTX-4070-SUPER": (56, 2475, 512),
    "RTX-4070-Ti": (60, 2610, 512),
    "RTX-4070-Ti-SUPER": (66, 2610, 512),
    "RTX-4080": (76, 2505, 512),
    "RTX-4080-SUPER": (80, 2550, 512),
    "RTX-4090": (128, 2520, 512),
    "RTX-4000-Ada": (48, 2175, 1024),
    "RTX-4500-Ada": (60, 2580, 1024),
    "RTX-5000-Ada": (100, 2550, 1024),
    "RTX-6000-Ada": (142, 2505, 1024),
    "RTX-5060-Ti-16GB": (36, 2572, 512),
    "RTX-5060-Ti-8GB": (36, 2572, 512),
    "RTX-5070": (48, 2512, 512),
    "RTX-5070-Ti": (70, 2452, 512),
    "RTX-5080": (84, 2617, 512),
    "RTX-5090": (170, 2407, 512),
    "RTX-PRO-4500": (82, 2511, 1024),
    "RTX-PRO-5000": (110, 2291, 1024),
    "RTX-PRO-6000": (188, 2617, 1024),
    "RTX-PRO-6000-Max-Q": (188, 2280, 1024),
    "MI300A": (228, 2100, 2048),
    "MI300X": (304, 2100, 2048),
    "MI308X": (80, 1420, 2048),
    "MI350X": (256, 2200, 4096),
    "MI355X": (256, 2400, 4096),
}
VECTOR_FLOPS = {"turing": 128, "ampere": 256, "ada": 256, "blackwell": 256, "cdna3": 256,
                "cdna4": 256}  # fmt: skip


@pytest.mark.parametrize("name", COMPUTE)
def test_rates_are_units_times_clock_times_operations(name: str) -> None:
    units, mhz, matrix = COMPUTE[name]
    spec, tera = find_gpu(name), units * mhz * 1e6 / 1e12
    assert spec.fp16_tflops == pytest.approx(tera * matrix, rel=0.01)
    assert spec.fp32_tflops == pytest.approx(tera * VECTOR_FLOPS[spec.architecture], rel=0.02)
    if spec.fp8_tflops is not None:
        assert spec.fp8_tflops == pytest.approx(2 * spec.fp16_tflops, rel=0.005)
    is_geforce = "GeForce" in "".join(spec.aliases)
    assert spec.int8_tops == pytest.approx((4 if is_geforce else 2) * spec.fp16_tflops, rel=0.005)
    if spec.fp4_tflops is not None:
        ratio = 8 if is_geforce else 4
        assert spec.fp4_tflops == pytest.approx(ratio * spec.fp16_tflops, rel=0.005)


SLICES = [spec for spec in load_gpus().values() if "-MIG-" in spec.name]


@pytest.mark.parametrize("spec", SLICES, ids=lambda spec: spec.name)
def test_a_slice_is_a_part_of_its_gpu(spec: GpuSpec) -> None:
    name, _, profile = spec.name.partition("-MIG-")
    whole, sevenths = find_gpu(name), int(profile[0])
    for field in ("memory_gb", "bandwidth_gbs", "fp16_tflops", "fp32_tflops", "int8_tops", "tdp_w"):
        assert 0 < getattr(spec, field) <= getattr(whole, field)
    eighths = spec.bandwidth_gbs / whole.bandwidth_gbs * 8
    assert eighths == pytest.approx(round(eighths), abs=0.01)
    assert spec.memory_gb <= whole.memory_gb * eighths / 8 + 0.01
    # the smallest slices of the full H100 get SMs that larger ones leave over
    share = spec.fp16_tflops / whole.fp16_tflops
    assert 0.84 * sevenths / 7 <= share <= 1.4 * sevenths / 7
    assert share == pytest.approx(spec.fp32_tflops / whole.fp32_tflops, rel=0.01)
    assert (spec.interconnect_gbs, spec.max_gpus) == (0, 1)
    assert (spec.fp8_tflops is None) == (whole.fp8_tflops is None)


@pytest.mark.parametrize("whole", sorted({spec.name.partition("-MIG-")[0] for spec in SLICES}))
def test_seven_of_the_smallest_slices_fit_a_gpu(whole: str) -> None:
    smallest = next(spec for spec in SLICES if spec.name.startswith(f"{whole}-MIG-1g"))
    gpu = find_gpu(whole)
    assert 7 * smallest.fp16_tflops <= gpu.fp16_tflops
    assert 7 * smallest.memory_gb <= gpu.memory_gb
    assert 8 * smallest.bandwidth_gbs == pytest.approx(gpu.bandwidth_gbs, rel=1e-3)


def test_a_slice_s_short_name_says_what_it_was_taken_for() -> None:
    assert find_gpu("A100-MIG-3g.20gb").name == "A100-40GB-MIG-3g.20gb"
    sentence = ambiguity("H100 MIG 1g.10gb")
    assert sentence is not None
    assert "H100-80GB-MIG-1g.10gb" in sentence
    assert "H100-PCIe-MIG-1g.10gb" in sentence


def test_no_name_means_two_parts() -> None:
    owners: dict[str, str] = {}
    for spec in load_gpus().values():
        for name in (spec.name, *spec.aliases):
            assert owners.setdefault(normalise(name), spec.name) == spec.name
    assert not owners.keys() & short_names().keys()
    for parts in short_names().values():
        assert set(parts) <= set(load_gpus())


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
