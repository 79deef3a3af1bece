"""GPUs beside the catalogue: which sheet a name means, and how sheets travel with records."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from autotune.catalog.gpus import (
    GPU_SHEET,
    add_gpus,
    ambiguity,
    detect_gpus,
    find_gpu,
    load_gpus,
    own_gpus,
    recorded_sheet,
    remember_recorded_gpus,
)
from autotune.catalog.own_gpus import add_specs
from autotune.errors import InvalidConfigError, UnknownGpuError
from recommender.features.table import is_catalogued
from tests.support.gpu_files import NAME, SHEET, gpu_toml, write_gpus
from tests.support.records import record

pytestmark = pytest.mark.usefixtures("no_own_gpus")
RECORDED = {key: value for key, value in SHEET.items() if key != "aliases"}


def run_on(gpu: str, sheet: Any) -> Any:
    return record(gpu=gpu, environment={GPU_SHEET: sheet})


def test_a_gpu_of_a_file_is_found_by_all_its_names(tmp_path: Path) -> None:
    assert add_gpus(write_gpus(tmp_path / "mine.toml", gpu_toml(short_names=True))) == (NAME,)
    for name in (NAME, "zx 500", "ZX-500 turbo", "NVIDIA ZX 500 Turbo", "zx"):
        assert find_gpu(name).name == NAME
    assert ambiguity("ZX") == "ZX is taken for ZX-500; it could also mean L4"
    assert ambiguity(NAME) is None
    assert [(known.spec.name, known.origin) for known in own_gpus()] == [
        (NAME, str(tmp_path / "mine.toml"))
    ]
    assert NAME not in load_gpus()


def test_the_same_file_may_be_added_again(tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "mine.toml", gpu_toml(short_names=True))
    assert add_gpus(path) == add_gpus(str(path)) == (NAME,)


def test_the_users_own_file_needs_no_option(tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "config/autotune/gpus.toml")
    assert find_gpu(NAME).bandwidth_gbs == 640
    assert own_gpus()[0].origin == str(path)


def test_the_users_own_file_is_told_of_when_it_is_wrong_and_needed(tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "config/autotune/gpus.toml", gpu_toml(memory_gb=0))
    assert find_gpu("H100").name == "H100-80GB"
    for _ in range(2):
        with pytest.raises(InvalidConfigError, match=str(path)):
            find_gpu(NAME)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (gpu_toml("H100"), ("'H100' is H100-80GB of the catalogue",)),
        (gpu_toml("h100 80gb"), ("is H100-80GB of the catalogue", "another name")),
        (gpu_toml(aliases=["NVIDIA L4"]), ("'NVIDIA L4' is L4 of the catalogue",)),
        (gpu_toml("A100-80GB-MIG-3g.40gb"), ("of the catalogue",)),
    ],
)
def test_a_name_of_the_catalogue_is_refused(
    text: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    with pytest.raises(InvalidConfigError) as caught:
        add_gpus(write_gpus(tmp_path / "mine.toml", text))
    assert all(part in str(caught.value) for part in ("mine.toml", *parts)), caught.value
    assert own_gpus() == ()


def test_a_second_file_may_not_say_otherwise(tmp_path: Path) -> None:
    add_gpus(write_gpus(tmp_path / "one.toml"))
    other = gpu_toml("Other", aliases=[]) + gpu_toml(memory_gb=16)
    with pytest.raises(InvalidConfigError, match=r"one\.toml with other figures .*28\.5 there, 16"):
        add_gpus(write_gpus(tmp_path / "two.toml", other))
    with pytest.raises(UnknownGpuError):
        find_gpu("Other")
    with pytest.raises(InvalidConfigError, match=r"'ZX 500' is 'ZX-500' of .*one\.toml already"):
        add_gpus(write_gpus(tmp_path / "three.toml", gpu_toml("Third", aliases=["ZX 500"])))
    with pytest.raises(InvalidConfigError, match="'zx500' is 'ZX-500'"):
        add_gpus(write_gpus(tmp_path / "four.toml", gpu_toml("zx500")))


def test_an_unknown_gpu_is_told_how_to_become_known(tmp_path: Path) -> None:
    add_gpus(write_gpus(tmp_path / "mine.toml"))
    with pytest.raises(UnknownGpuError, match=r"Did you mean ZX-500.*--gpu-file .*gpus --help"):
        find_gpu("ZX-50O")


def test_the_sheet_of_a_gpu_of_a_file_goes_into_records_and_comes_back(tmp_path: Path) -> None:
    assert recorded_sheet("H100") is recorded_sheet("cpu") is recorded_sheet(NAME) is None
    add_specs([dataclasses.replace(find_gpu("L4"), name="Mine", aliases=("NVIDIA Mine",))], "me")
    sheet = recorded_sheet("NVIDIA Mine")
    assert sheet is not None
    assert sheet["bandwidth_gbs"] == 300
    assert "aliases" not in sheet


def test_a_colleagues_run_brings_its_gpu() -> None:
    run = run_on(NAME, RECORDED)
    assert not is_catalogued(run)
    assert remember_recorded_gpus([run, run, record()]) == ()
    assert find_gpu(NAME).memory_gb == 28.5
    assert own_gpus()[0].origin == "recorded runs"
    assert is_catalogued(run)


def test_a_record_never_replaces_the_catalogue_s_sheet() -> None:
    assert remember_recorded_gpus([run_on("H100-80GB", {**RECORDED, "memory_gb": 999})]) == ()
    assert find_gpu("H100-80GB") is load_gpus()["H100-80GB"]


def test_of_two_sheets_under_a_name_the_first_stays_and_the_other_is_told_of() -> None:
    second = run_on(NAME, {**RECORDED, "memory_gb": 16})
    (remark,) = remember_recorded_gpus([run_on(NAME, RECORDED), second, second])
    assert "memory_gb 28.5 there, 16 here" in remark
    assert find_gpu(NAME).memory_gb == 28.5


def test_a_file_wins_over_what_runs_carry(tmp_path: Path) -> None:
    add_gpus(write_gpus(tmp_path / "mine.toml"))
    (remark,) = remember_recorded_gpus([run_on(NAME, {**RECORDED, "tdp_w": 600})])
    assert "those of" in remark
    assert "mine.toml are used" in remark
    assert find_gpu(NAME).tdp_w == 240
    assert remember_recorded_gpus([run_on(NAME, RECORDED)]) == ()


def test_sheets_that_differ_in_words_alone_are_the_same() -> None:
    other = {**RECORDED, "source": "another page", "note": "seen elsewhere"}
    assert remember_recorded_gpus([run_on(NAME, RECORDED), run_on(NAME, other)]) == ()


@pytest.mark.parametrize("sheet", [5, [], {}, {**RECORDED, "memory_gb": 1e9}, {"x": 1}])
def test_a_sheet_that_cannot_be_meant_is_not_used(sheet: object) -> None:
    (remark,) = remember_recorded_gpus([run_on(NAME, sheet)])
    assert "is not used" in remark
    assert NAME in remark
    with pytest.raises(UnknownGpuError):
        find_gpu(NAME)


class DriverError(Exception):
    """What NVML raises."""


def driver_of(name: str, memory_gb: float, slice_name: str | None = None) -> SimpleNamespace:
    """Return NVML of a host with one device, or with its second slice."""

    def mode(_: str) -> tuple[int, int]:
        if slice_name is None:
            raise DriverError
        return (1, 1)

    def slice_at(_: str, place: int) -> str:
        if place != 1:
            raise DriverError
        return "slice"

    return SimpleNamespace(
        NVMLError=DriverError,
        nvmlDeviceGetName=lambda handle: name if handle == "device" else slice_name,
        nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=memory_gb * 2**30),
        nvmlDeviceGetMigMode=mode,
        nvmlDeviceGetMaxMigDeviceCount=lambda _: 7,
        nvmlDeviceGetMigDeviceHandleByIndex=slice_at,
    )


@pytest.mark.parametrize(
    ("driver", "expected"),
    [
        (driver_of("NVIDIA ZX 500 Turbo", 28.5), NAME),
        (driver_of("NVIDIA GeForce RTX 4060 Ti", 15.99), "RTX-4060-Ti-16GB"),
        (driver_of("NVIDIA GeForce RTX 4060 Ti", 7.99), "RTX-4060-Ti-8GB"),
        (driver_of("NVIDIA GeForce RTX 3080", 12.0), "RTX-3080-12GB"),
        (
            driver_of("NVIDIA H100 80GB HBM3", 79.6, "NVIDIA H100 80GB HBM3 MIG 3g.40gb"),
            "H100-80GB-MIG-3g.40gb",
        ),
    ],
)
def test_a_device_is_found_by_its_driver_s_name_its_memory_and_its_slice(
    driver: SimpleNamespace, expected: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    add_gpus(write_gpus(tmp_path / "mine.toml"))
    monkeypatch.setattr("autotune.catalog.gpus.open_devices", lambda: (driver, ["device"]))
    assert [spec.name for spec in detect_gpus()] == [expected]
