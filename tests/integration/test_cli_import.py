"""`autotune import` of other tools' results, from the command line."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.contract.importer_cases import FIXTURES, TRT_TABLE
from tests.integration.conftest import Workspace

CLIENT = ("--gpu", "H100", "--n-gpus", "1", "--engine-version", "0.32.0", "--model", "Llama-2-7b")


def test_a_folder_of_a_benchmark_client_goes_in_with_options(
    workspace: Workspace, new_store: Callable[[Path], str]
) -> None:
    new_store(workspace.folder)
    for name in ("vllm_bench_serve_c2.json", "vllm_bench_serve_c4.json"):
        shutil.copy(FIXTURES / name, workspace.folder)
    ran = workspace.here("import", workspace.folder, *CLIENT, "--json")
    assert ran.code == 0, ran.err
    [file] = json.loads(ran.out)["files"]
    assert (file["format"], file["good"]) == ("vllm-bench", 2)
    assert "0 runs logged, 2 known" in workspace.here("import", workspace.folder, *CLIENT).out


def test_what_is_missing_is_named_with_its_option(workspace: Workspace) -> None:
    shutil.copy(FIXTURES / "vllm_bench_serve_c2.json", workspace.folder)
    ran = workspace.here("import", workspace.folder, *CLIENT[4:])
    assert ran.code == 2
    assert "give --gpu" in ran.err


def test_the_table_names_file_line_and_reason(
    workspace: Workspace, new_store: Callable[[Path], str]
) -> None:
    new_store(workspace.folder)
    path = workspace.folder / "performance_v0.6.md"
    path.write_text(TRT_TABLE.replace("LLaMA 70B", "LLaMA 71B"))
    ran = workspace.here("import", path)
    assert ran.code == 1
    assert "1 good rows, 2 refused" in ran.out
    [row] = [line for line in ran.out.splitlines() if "71B" in line]
    assert row.split()[:2] == ["2", path.name]
    assert "line 9: unknown model 'LLaMA 71B'" in row
    assert len((workspace.folder / f"{path.name}.rejected.jsonl").read_text().splitlines()) == 2


def test_an_unknown_download_names_those_known(workspace: Workspace) -> None:
    ran = workspace.here("import", "llm-piolt", "--download")
    assert ran.code == 2
    assert "Did you mean llm-pilot" in ran.err
