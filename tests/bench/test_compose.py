"""The compose file that labctl is measured against asks for the containers that labctl runs."""

import json
from typing import Any

import pytest

from labctl.errors import BadInput
from tests.bench import apply as bench
from tests.bench.compose import compose_file
from tests.labctl.plan.plans import plan
from tests.labctl.render.cases import rendered, texts


def _units() -> dict[str, str]:
    """As Quadlet would read them."""
    found = texts(rendered(plan(bench.TWELVE)))
    return {path.removeprefix("units/"): text for path, text in found.items() if path.startswith("units/")}


def _compose() -> dict[str, Any]:
    return dict(json.loads(compose_file(_units())))


def test_there_are_twelve_with_a_network_and_a_loopback_port_each() -> None:
    services = _compose()["services"]
    assert len(services) == 12
    assert len({port for each in services.values() for port in each["ports"]}) == 12
    assert all(each["ports"][0].startswith("127.0.0.1:") for each in services.values())
    assert sorted(each["networks"] for each in services.values()) == sorted(
        [name] for name in _compose()["networks"]
    )


def test_what_podman_is_told_is_the_same() -> None:
    service = _compose()["services"]["labctl-service-1"]
    assert service["command"] == list(bench.TWELVE["service-1"].args)
    assert service["container_name"] == "labctl-service-1"
    assert service["cap_drop"] == ["all"]
    assert "SETUID" in service["cap_add"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert (service["pids_limit"], service["mem_limit"], service["cpus"]) == (4096, "64m", 15.0)
    assert (service["restart"], service["stop_grace_period"]) == ("always", "30s")
    assert service["logging"] == {"driver": "journald"}


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("a.container", "[Container]\nReadOnly=true\n", "[Container] ReadOnly"),
        ("a.container", "[Service]\nImage=x\n", "[Service] Image"),
        ("a.network", "[Network]\nInternal=true\n", "[Network] Internal"),
        ("a.volume", "[Volume]\n", "volume"),
    ],
)
def test_what_has_no_place_in_it_is_refused(file: str, text: str, found: str) -> None:
    with pytest.raises(BadInput) as refused:
        compose_file({file: text})
    assert (refused.value.where, refused.value.found) == (file, found)
