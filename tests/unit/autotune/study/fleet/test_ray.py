"""What a host of a Ray cluster says it has, and how an engine start asks for it."""

from typing import Any

import pytest

from autotune.errors import FleetError, UsageError
from autotune.study.fleet.ray import Kind, RayFleet


class Nodes:
    """The part of Ray that tells what there is."""

    def __init__(self, *resources: dict[str, float]) -> None:
        self._resources = resources

    def nodes(self) -> list[dict[str, Any]]:
        dead = {"Alive": False, "Resources": {"GPU": 8.0, "gpu:H200": 8.0}}
        return [dead, *({"Alive": True, "Resources": one} for one in self._resources)]


ACCELERATED = {"CPU": 8.0, "GPU": 4.0, "accelerator_type:A100": 1.0, "node:10.0.0.1": 1.0}
NAMED = {"CPU": 8.0, "GPU": 8.0, "gpu:H100-80GB": 8.0, "accelerator_type:H100": 1.0}
SMALL = {"CPU": 8.0, "GPU": 2.0, "gpu:H100-80GB": 2.0}
PLAIN = {"CPU": 8.0, "memory": 1e9}


def test_a_host_is_known_by_its_catalogue_name_or_by_what_ray_found() -> None:
    fleet = RayFleet(Nodes(ACCELERATED, NAMED, SMALL, PLAIN))
    assert [(kind.gpu, kind.n_gpus) for kind in fleet.kinds()] == [
        ("A100-80GB", 4),
        ("H100-80GB", 8),
        ("H100-80GB", 2),
    ]
    assert fleet.room("H100-80GB") == 10
    assert fleet.room("H200") == 0


def test_an_engine_start_asks_for_all_of_its_gpus_on_one_host() -> None:
    fleet = RayFleet(Nodes(ACCELERATED, NAMED, SMALL))
    assert fleet.kind("H100-80GB", 4).options(4) == {
        "num_cpus": 0,
        "num_gpus": 4,
        "resources": {"gpu:H100-80GB": 4},
    }
    by_type = fleet.kind("A100-80GB", 2).options(2)
    assert by_type["num_gpus"] == 2
    assert 0 < by_type["resources"]["accelerator_type:A100"] < 0.01


def test_a_processor_is_counted_without_ray_s_gpus() -> None:
    (kind,) = RayFleet(Nodes({"CPU": 2.0, "gpu:CPU:some-2c": 1.0})).kinds()
    assert kind == Kind("CPU:some-2c", "gpu:CPU:some-2c", 1, True, False)
    assert kind.options(1)["num_gpus"] == 0


def test_what_no_host_has_is_refused_with_what_there_is() -> None:
    fleet = RayFleet(Nodes(ACCELERATED, NAMED, {"GPU": 1.0, "gpu:no-such-gpu": 1.0}))
    with pytest.raises(FleetError, match=r"no host of the fleet has 16 x H100-80GB") as caught:
        fleet.kind("H100-80GB", 16)
    assert "4 x A100-80GB, 8 x H100-80GB" in str(caught.value)
    assert not isinstance(caught.value, UsageError)
    with pytest.raises(FleetError, match="its hosts: none"):
        RayFleet(Nodes(PLAIN)).kind("H200")
