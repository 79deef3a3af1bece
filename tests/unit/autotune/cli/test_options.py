"""``--gpu-file``: every command that names a GPU takes it, and refuses what cannot be meant."""

import json
from pathlib import Path

import pytest

from autotune.cli import main
from tests.support.gpu_files import NAME, gpu_toml, write_gpus
from tests.support.workspace import Workspace

pytestmark = pytest.mark.usefixtures("no_own_gpus")
MODEL = "meta-llama/Llama-3.1-8B"
ASK = ("recommend", "--model", MODEL, "--max-gpus", 1, "--max-batch-size", 64)


@pytest.fixture
def here(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


@pytest.mark.parametrize(
    "name",
    ["recommend", "predict", "explain", "confirm", "report", "run", "import", "train", "evaluate",
     "gpus", "doctor"],
)  # fmt: skip
def test_a_command_that_names_a_gpu_takes_a_file_of_them(name: str) -> None:
    options = [flag for parameter in main.commands[name].params for flag in parameter.opts]
    assert "--gpu-file" in options


def test_gpus_says_where_each_is_from(here: Workspace, tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "mine.toml")
    rows = {row["name"]: row for row in here.here("gpus", "--json", "--gpu-file", path).json()}
    assert rows[NAME]["origin"] == str(path)
    assert rows[NAME]["bandwidth_gbs"] == 640
    assert rows["H100-80GB"]["origin"] == "catalogue"
    assert [row["origin"] for name, row in rows.items() if name.startswith("CPU:")] == [
        "this machine"
    ]
    table = here.here("gpus", "zx", "--gpu-file", path).out
    assert NAME in table
    assert "mine.toml" in table
    assert "H100" not in table


def test_gpus_lists_those_whose_name_or_alias_holds_a_text(here: Workspace) -> None:
    names = [row["name"] for row in here.here("gpus", "geforce rtx 4070", "--json").json()]
    assert names == ["RTX-4070", "RTX-4070-SUPER", "RTX-4070-Ti", "RTX-4070-Ti-SUPER"]


def test_the_form_that_help_shows_is_one_that_is_read(here: Workspace, tmp_path: Path) -> None:
    shown = here.here("gpus", "--help").out
    lines = [line.strip() for line in shown.splitlines()]
    begin, end = lines.index('[gpus."MY-GPU"]'), lines.index('"MY" = ["MY-GPU", "L4"]')
    path = write_gpus(tmp_path / "shown.toml", "\n".join(lines[begin : end + 1]))
    (row,) = here.here("gpus", "my-gpu", "--json", "--gpu-file", path).json()
    assert (row["name"], row["memory_gb"]) == ("MY-GPU", 24)
    assert here.here("gpus", "--gpu-file", path).code == 0


def test_an_answer_for_a_gpu_of_a_file(here: Workspace, tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "mine.toml")
    answer = here.here(*ASK, "--target-gpu", "zx 500", "--gpu-file", path, "--json").json()
    assert answer["target_gpu"] == NAME
    assert answer["best"]["fits"]
    again = here.here(*ASK, "--target-gpu", NAME, "--json", AUTOTUNE_GPU_FILE=str(path)).json()
    assert again["best"] == answer["best"]


def test_a_recommendation_carries_the_sheet_of_its_gpu(here: Workspace, tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "mine.toml")
    made = here.here(*ASK, "--target-gpu", NAME, "--gpu-file", path, "--json").json()
    (kept,) = (tmp_path / "mlruns/recommendations").glob("*.json")
    assert json.loads(kept.read_text())["gpu_sheets"][NAME]["memory_gb"] == 28.5
    plain = here.here(*ASK, "--target-gpu", "L4", "--json").json()
    other = tmp_path / f"mlruns/recommendations/{plain['recommendation_id']}.json"
    assert "gpu_sheets" not in json.loads(other.read_text())
    assert made["recommendation_id"] in str(kept)


def test_one_configuration_on_a_gpu_of_a_file(here: Workspace, tmp_path: Path) -> None:
    path = write_gpus(tmp_path / "mine.toml")
    asked = {"engine": "vllm", "model": MODEL, "gpu": "ZX 500 Turbo", "n_gpus": 1, "batch_size": 8,
             "input_len": 512, "output_len": 128}  # fmt: skip
    (tmp_path / "configs.jsonl").write_text(json.dumps(asked))
    ran = here.here("predict", "configs.jsonl", "--gpu-file", path)
    assert f"1 x {NAME} batch 8" in ran.out
    assert here.here("run", "--model", MODEL, "--gpu", NAME, "--dry-run").code == 0


def test_an_unknown_gpu_says_how_to_add_it(here: Workspace) -> None:
    ran = here.here(*ASK, "--target-gpu", NAME)
    assert ran.code == 2
    assert "--gpu-file (`autotune gpus --help`)" in ran.err
    unlike = here.here(*ASK, "--target-gpu", "Ascend 910B")
    assert unlike.code == 2
    assert "is not supported" in unlike.err


@pytest.mark.parametrize(
    ("text", "part"),
    [
        (gpu_toml(bandwidth_gbs=0.64), "bandwidth_gbs=0.64"),
        (gpu_toml(bandwith_gbs=640), "Did you mean bandwidth_gbs?"),
        (gpu_toml("H100-80GB"), "of the catalogue"),
        (gpu_toml() + gpu_toml("zx500"), "a name must mean one GPU"),
        ("[gpus", "is not TOML"),
    ],
)
@pytest.mark.parametrize("command", [("gpus",), (*ASK, "--target-gpu", "H100"), ("run",)])
def test_a_file_that_cannot_be_used_is_refused_before_anything_else(
    command: tuple[object, ...], text: str, part: str, here: Workspace, tmp_path: Path
) -> None:
    ran = here.here(*command, "--gpu-file", write_gpus(tmp_path / "bad.toml", text))
    assert ran.code == 2
    assert ran.out == ""
    assert part in ran.err
    assert ran.err.count("\n") == 1
