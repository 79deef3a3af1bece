"""Files of GPUs: what is read, and how each mistake is told."""

import contextlib
import dataclasses
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autotune.catalog.gpu_catalogue import load_gpus
from autotune.catalog.gpu_files import read_gpu_file, user_gpu_file
from autotune.catalog.gpu_sheet import VENDORS, GpuSpec, sheet_of, spec_of
from autotune.errors import AutotuneError, InvalidConfigError
from tests.support.gpu_files import NAME, SHEET, gpu_toml, toml_of, write_gpus

rates = st.floats(1, 90_000)
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P")), min_size=1, max_size=30)
sheets = st.fixed_dictionaries(
    {
        "vendor": st.sampled_from(VENDORS),
        "architecture": texts,
        "memory_gb": st.floats(1, 2000) | st.integers(1, 2000),
        "bandwidth_gbs": st.floats(20, 100_000),
        "fp16_tflops": rates,
        "fp32_tflops": rates,
        "interconnect": texts,
        "interconnect_gbs": st.floats(2, 20_000),
        "max_gpus": st.integers(1, 1024),
        "tdp_w": st.floats(5, 20_000),
        "year": st.integers(2000, 2100),
        "source": texts,
    },
    optional={"bf16_tflops": rates, "int8_tops": rates, "note": texts},
)


def refusal(path: Path) -> str:
    with pytest.raises(InvalidConfigError) as caught:
        read_gpu_file(path)
    assert caught.value.exit_code == 2
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_sheet_is_read_as_it_is_written(tmp_path: Path) -> None:
    file = read_gpu_file(write_gpus(tmp_path / "gpus.toml", gpu_toml(short_names=True)))
    (spec,) = file.gpus
    assert spec == GpuSpec(name=NAME, **{**SHEET, "aliases": tuple(SHEET["aliases"])})
    assert file.short_names == {"ZX": (NAME, "L4")}


@pytest.mark.parametrize("name", load_gpus())
def test_the_catalogue_s_own_sheets_are_of_the_form_that_files_have(name: str) -> None:
    spec = load_gpus()[name]
    assert spec_of(name, {**sheet_of(spec), "aliases": spec.aliases}, "the catalogue") == spec


@given(sheet=sheets)
def test_a_valid_sheet_survives_its_file_and_its_record(
    sheet: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "round-trip.toml"
    lines = [f'[gpus."{NAME}"]', *(f"{key} = {toml_of(value)}" for key, value in sheet.items())]
    path.write_text("\n".join(lines), encoding="utf-8")
    (spec,) = read_gpu_file(path).gpus
    assert spec == GpuSpec(name=NAME, **sheet)
    assert spec_of(NAME, sheet_of(spec), "a record") == spec


@given(
    key=st.sampled_from([*SHEET, "memory", "name", ""]),
    value=st.none()
    | st.booleans()
    | st.integers(-(10**30), 10**30)
    | st.floats()
    | st.text(max_size=20)
    | st.lists(st.text(max_size=5), max_size=3)
    | st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
def test_a_sheet_with_one_value_changed_is_read_as_it_stands_or_refused(
    key: str, value: object
) -> None:
    changed = {**SHEET, key: value}
    with contextlib.suppress(AutotuneError):
        values = dataclasses.asdict(spec_of(NAME, changed, "a file"))
        assert all(values[k] == (tuple(v) if k == "aliases" else v) for k, v in changed.items())


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"bandwidth_gbs": 0.64}, ("bandwidth_gbs=0.64", "a TB/s is 1000")),
        ({"memory_gb": 29184}, ("memory_gb=29184", "2**30 bytes", "not 24576")),
        ({"fp16_tflops": 190.5e12}, ("fp16_tflops=", "dense TFLOPS")),
        ({"fp16_tflops": 0.19}, ("fp16_tflops=0.19", "a PFLOPS is 1000")),
        ({"interconnect_gbs": 0.9}, ("interconnect_gbs=0.9", "both directions")),
        ({"tdp_w": 0.24}, ("tdp_w=0.24", "watts")),
        ({"memory_gb": float("nan")}, ("memory_gb=nan", "from 1 to 2000")),
        ({"memory_gb": float("inf")}, ("memory_gb=inf",)),
        ({"memory_gb": "28 GB"}, ("memory_gb='28 GB'", "a number")),
        ({"memory_gb": True}, ("memory_gb=True", "a number")),
        ({"max_gpus": 4.0}, ("max_gpus=4.0", "a whole number")),
        ({"year": 24}, ("year=24", "2000")),
        ({"vendor": "nvida"}, ("vendor='nvida'", "nvidia, amd")),
        ({"vendor": "cpu"}, ("vendor='cpu'",)),
        ({"source": " "}, ("source=", "not empty")),
        ({"note": "\x1b[31m"}, ("note=", "printable")),
        ({"aliases": "ZX"}, ("aliases=", "a list")),
        ({"aliases": ["  "]}, ("aliases",)),
        ({"aliases": ["NVIDIA"]}, ("aliases='NVIDIA'", "letters or digits")),
        ({"bandwith_gbs": 640}, ("'bandwith_gbs'", "Did you mean bandwidth_gbs?")),
        ({"tdp_w": None, "year": None}, ("lacks tdp_w, year", "autotune gpus --help")),
        ({"interconnect_gbs": 0}, ("interconnect_gbs=0", "max_gpus=4")),
        ({"fp8_tflops": 95}, ("fp8_tflops=95 is below fp16_tflops=190.5", "dense")),
    ],
)
def test_a_value_that_cannot_be_meant_is_named_with_its_file_and_gpu(
    changes: dict[str, Any], parts: tuple[str, ...], tmp_path: Path
) -> None:
    path = write_gpus(tmp_path / "mine.toml", gpu_toml(**changes))
    message = refusal(path)
    assert all(part in message for part in (str(path), f"GPU '{NAME}'", *parts)), message


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", ("holds no GPU", "autotune gpus --help")),
        ("gpus = 3\n", ("holds no GPU",)),
        ("[gpus]\n", ("holds no GPU",)),
        ("[gpu.A]\n", ("unknown table 'gpu'", "Did you mean gpus?")),
        ("[gpus.A\n", ("is not TOML",)),
        (gpu_toml() + gpu_toml(), ("is not TOML",)),
        ("[gpus]\nA = 5\n", ("GPU 'A'", "must be a table")),
        (gpu_toml("CPU-mine"), ("CPU-mine", "processor")),
        (gpu_toml(" ZX"), ("' ZX'",)),
        (gpu_toml(short_names=True).replace('"L4"', '"L44"'), ("'L44'", "Did you mean L4")),
        (gpu_toml(short_names=True).replace('"ZX"', '"H100"'), ("'H100'", "taken by")),
        (gpu_toml(short_names=True).replace('"ZX"', '"zx 500"'), ("'zx 500'", "taken by")),
        (gpu_toml() + "[short_names]\nZX = []\n", ("a list of GPU names",)),
        ("short_names = 1\n" + gpu_toml(), ("short_names must be a table",)),
        (gpu_toml() + gpu_toml("zx500", aliases=[]), ("'ZX-500' and 'zx500'",)),
        (
            gpu_toml() + gpu_toml("Other", aliases=["ZX 500 turbo"]),
            ("'ZX-500' and 'Other'", "one GPU"),
        ),
        (gpu_toml().replace("max_gpus = 4", "max_gpus = 0x" + "f" * 5000), ("max_gpus=",)),
        ("a = " + "[" * 5000, ("is not TOML",)),
        ("#" * 2**20 + "\n", ("larger than",)),
    ],
)
def test_a_file_that_cannot_be_used_says_what_is_wrong(
    text: str, parts: tuple[str, ...], tmp_path: Path
) -> None:
    message = refusal(write_gpus(tmp_path / "mine.toml", text))
    assert all(part in message for part in ("mine.toml", *parts)), message


def test_a_file_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    assert "cannot read" in refusal(tmp_path / "missing.toml")
    assert "cannot read" in refusal(tmp_path)
    (tmp_path / "latin.toml").write_bytes("# für mich\n".encode("latin-1"))
    assert "is not TOML" in refusal(tmp_path / "latin.toml")


def test_the_users_file_lies_where_settings_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", "/settings")
    assert user_gpu_file() == Path("/settings/autotune/gpus.toml")
    monkeypatch.delenv("XDG_CONFIG_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert user_gpu_file() == Path("/home/somebody/.config/autotune/gpus.toml")
