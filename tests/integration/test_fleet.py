"""A study over a real Ray cluster: raylets with made-up GPU counts, nodes killed, light engines."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from autotune.schema.configuration import identity
from autotune.schema.record import RunRecord
from autotune.store.journal import read_journal
from tests.integration.conftest import AUTOTUNE, Workspace
from tests.support.fleet_cluster import Cluster, cluster
from tests.support.lightly import LIGHT, Bench, light_environment
from tests.support.workspace import on_path

pytest.importorskip("ray", reason="a fleet needs the extra `fleet`")
pytestmark = pytest.mark.slow
N_TRIALS = 8
STUDY = {
    "batch_sizes": "1,2,3,4",
    "exhaustive": True,
    "knobs": {"hf": {"attn_implementation": ["sdpa", "eager"]}},
    "workloads": [{"mode": "closed_batch", "input_len": 16, "output_len": 8}],
    "policy": {"min_repeats": 2, "max_repeats": 2},
}


@pytest.fixture(scope="module")
def ray_cluster(cpu: str) -> Iterator[Cluster]:
    # Passes that leave time to kill a node between the first results and the last.
    light = {"PYTHONPATH": on_path(LIGHT), "LIGHT_ENGINE_PASS_S": "0.3"}
    with cluster(light) as running:
        for name in ("a", "b"):
            running.add(name, n_gpus=1, resources={f"gpu:{cpu}": 1})
        yield running


@pytest.fixture
def fleet_shop(workspace: Workspace) -> Workspace:
    Bench(workspace.folder).prepare(**STUDY)
    return workspace


def start(workspace: Workspace, address: str, access: Mapping[str, str]) -> "subprocess.Popen[str]":
    command = ("run", "study.yaml", "--fleet", address, "--journal", "j.jsonl", "--resume")
    return subprocess.Popen(
        [str(AUTOTUNE), *command],
        cwd=workspace.folder,
        env=light_environment(**access),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def records_of(workspace: Workspace) -> list[RunRecord]:
    path = workspace.folder / "j.jsonl"
    return read_journal(path) if path.exists() else []


def wait_for_records(workspace: Workspace, n: int, process: "subprocess.Popen[str]") -> None:
    while len(records_of(workspace)) < n:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def assert_whole(records: list[RunRecord]) -> None:
    assert len(records) == N_TRIALS
    assert len({identity(record) for record in records}) == N_TRIALS
    assert {record.status for record in records} == {"completed"}


def test_a_node_killed_in_mid_study_loses_nothing(
    ray_cluster: Cluster, fleet_shop: Workspace, cpu: str
) -> None:
    with start(fleet_shop, ray_cluster.address, ray_cluster.access) as process:
        wait_for_records(fleet_shop, 3, process)
        ray_cluster.kill("a")
        out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    records = records_of(fleet_shop)
    assert_whole(records)
    # Both engine starts ran at the same time, each on a node of its own.
    first = [record.knobs["attn_implementation"] for record in records[:3]]
    assert len(set(first)) == 2 or "its host was lost" in err
    assert {record.gpu for record in records} == {cpu}
    assert "host was lost" in out + err or "host failed" in out + err
    ray_cluster.add("a", n_gpus=1, resources={f"gpu:{cpu}": 1})


def test_a_driver_killed_in_mid_study_goes_on_where_it_was(
    ray_cluster: Cluster, fleet_shop: Workspace
) -> None:
    with start(fleet_shop, ray_cluster.address, ray_cluster.access) as process:
        wait_for_records(fleet_shop, 2, process)
        process.send_signal(signal.SIGKILL)
    before = records_of(fleet_shop)
    assert 2 <= len(before) < N_TRIALS
    with start(fleet_shop, ray_cluster.address, ray_cluster.access) as process:
        _, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    after = records_of(fleet_shop)
    assert after[: len(before)] == before
    assert_whole(after)


def test_a_recommendation_is_confirmed_on_the_node_that_has_its_target(
    ray_cluster: Cluster, fleet_shop: Workspace, cpu: str, new_store: Callable[[Path], str]
) -> None:
    new_store(fleet_shop.folder)
    asked = ("--model", "light-model", "--engine", "hf", "--input-len", "16", "--output-len", "8")
    made = fleet_shop.here(
        "recommend", *asked, "--target-gpu", cpu, "--max-batch-size", "4", "--json"
    )
    assert made.code == 0, made.err
    at = ("--fleet", ray_cluster.address, "--runs", "2", "--time-budget", "1", "--json")
    confirmed = fleet_shop(
        "confirm",
        made.json()["recommendation_id"],
        *at,
        PYTHONPATH=on_path(LIGHT),
        **ray_cluster.access,
    )
    assert confirmed.code == 0, confirmed.err
    assert len(confirmed.json()["runs"]) == 2
    assert confirmed.json()["winner"]["output_throughput"] > 0
    elsewhere = fleet_shop.here("recommend", *asked, "--target-gpu", "H100", "--json")
    refused = fleet_shop(
        "confirm",
        elsewhere.json()["recommendation_id"],
        *at,
        PYTHONPATH=on_path(LIGHT),
        **ray_cluster.access,
    )
    assert refused.code == 1
    assert "no host of the fleet has 1 x H100-80GB" in refused.err
    assert cpu in refused.err


def test_a_cluster_that_is_not_there_is_named(fleet_shop: Workspace) -> None:
    with start(fleet_shop, "127.0.0.1:1", {}) as process:
        _, err = process.communicate(timeout=500)
    assert process.returncode == 1
    assert "no Ray cluster at '127.0.0.1:1'" in err
    assert "Traceback" not in err
