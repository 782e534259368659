"""Home Assistant itself, from PyPI: placed, applied, asked, verified, started anew.

Real: the program, labctl's own commands, Podman, systemd. Simulated: the host's cards. The image is not upstream's.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.edges import catalog
from tests.host.every_service import EveryService
from tests.host.home_assistant import HomeAssistant
from tests.host.hosts import ThrowawayHosts
from tests.host.port_forward import forwarded_port
from tests.host.real_services import boot_real_services

pytestmark = [pytest.mark.host, pytest.mark.nightly]

_OWNER, _PASSWORD = "somebody", "a password of the test"


@pytest.fixture(scope="module")
def booted(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EveryService]:
    made = boot_real_services(throwaway_hosts, tmp_path_factory.mktemp("real"))
    print("\n".join(image.line for image in made.registry.images.images.values()))
    yield made
    throwaway_hosts.destroy(made.host)


@pytest.fixture
def lab(booted: EveryService, tmp_path: Path) -> EveryService:
    """With no plan yet."""
    return replace(booted, folder=tmp_path)


def _put_in_place(lab: EveryService, workloads: Mapping[str, Any]) -> None:
    lab.workloads.write_text(json.dumps({"workloads": workloads}))  # which is YAML, too
    placed = lab("place", lab.workloads, "--out", lab.plan_file)
    assert placed.exit_code == 0, placed.stdout + placed.stderr
    assert lab.apply(lab.plan_file)["status"] == "done"


def _runs_as_the_catalogue_says(lab: EveryService, name: str, service: str) -> None:
    """Healthy by its own check, under the image's true name, with no rights but those that have a reason."""
    first = catalog.known_service(service).first
    found = lab.running()[f"labctl-{name}"]
    assert first.image is not None
    assert found["ImageName"] == f"{first.image.name}:{first.image.tag}"
    assert found["State"]["Health"]["Status"] == "healthy"
    assert first.health is not None
    assert found["Config"]["Healthcheck"]["Test"][-1].split()[-1].strip("'\"") == first.health.command[-1]
    assert found["HostConfig"]["ReadonlyRootfs"] is not bool(first.security.writable_root)
    assert lab.root(f"systemctl show --value -p MainPID labctl-{name}.service") != "0"
    lines = lab.root(f"cat /proc/{found['State']['Pid']}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    uid, gid = (first.security.user or "0:0").split(":")
    assert (status["Uid"].split(), status["Gid"].split()) == ([uid] * 4, [gid] * 4)
    assert {status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def _passes_its_checks(lab: EveryService, name: str, checks: int) -> None:
    code, found = lab.checks()
    assert code == 0, found
    assert {each["status"] for each in found.values()} == {"passed"}, found
    assert len([each for each in found if each.endswith(f"[{name}]")]) == checks, found


def _restart(lab: EveryService, name: str) -> None:
    before = lab.ids()
    run = lab("restart", name, "--json")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert lab.ids()[f"labctl-{name}"] != before[f"labctl-{name}"]


def test_home_assistant_of_pypi_gets_its_owner_and_still_knows_him_after_a_restart(lab: EveryService) -> None:
    _put_in_place(lab, {"home": {"service": "home-assistant"}})
    _runs_as_the_catalogue_says(lab, "home", "home-assistant")
    with forwarded_port(lab.host.ssh, lab.port("home")) as port:
        home = HomeAssistant(f"http://127.0.0.1:{port}")
        assert home.name() == "Home Assistant"
        assert home.steps()["user"] is False
        token = home.make_owner(_OWNER, _PASSWORD)
        said = home.config(token)
    assert (said["version"], said["config_dir"], said["state"]) == ("2026.9.2", "/config", "RUNNING")
    assert said["recovery_mode"] is False
    _passes_its_checks(lab, "home", 5)
    _restart(lab, "home")
    _runs_as_the_catalogue_says(lab, "home", "home-assistant")
    with forwarded_port(lab.host.ssh, lab.port("home")) as port:
        home = HomeAssistant(f"http://127.0.0.1:{port}")
        assert home.steps()["user"] is True
        assert home.config(home.log_in(_OWNER, _PASSWORD))["version"] == "2026.9.2"
    _passes_its_checks(lab, "home", 5)
    assert lab.apply(lab.plan_file)["status"] == "unchanged"
