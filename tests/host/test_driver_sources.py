"""Debian 12 and 13 and Ubuntu 24.04 and 26.04, each with a source of its driver: all run by the real apt.

Run here: Debian. What NVIDIA's repositories and Ubuntu's archive hold are stand-ins, and a host of Ubuntu is a Debian
in Ubuntu's name. A newer branch and CUDA 13 lie in the same repositories, and are not taken.
"""

import pprint
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.driver.table import Origin
from tests.host import simulated_driver, stand_in_nvidia, stand_in_ubuntu
from tests.host.deploying import Run, labctl
from tests.host.gpu_box import UNFINISHED, cards, preflight_again, with_headers
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_driver import debian_driver, programs
from tests.host.stand_in_repository import StandIn, offer, publish
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_NEWER = "610.43.02"
_DEBIAN_12 = "535.399.01"  # above the archive's own, which takes minutes to build


@dataclass(frozen=True)
class Case:
    """One system and source. driver, flavour, nvcc: what has to be there in the end; nvcc None: no toolkit."""

    name: str
    prepare: Callable[[ThrowawayHost], dict[str, Any]]
    driver: str
    flavour: str
    nvcc: str | None
    source: Origin | None
    suite: str = "trixie"
    packages: tuple[StandIn, ...] = ()
    nightly: bool = False


def _nvidia_debian(*versions: str) -> Callable[[ThrowawayHost], dict[str, Any]]:
    def prepare(host: ThrowawayHost) -> dict[str, Any]:
        published = publish(host, "nvidia", *stand_in_nvidia.debian(*versions))
        return {"source": "nvidia", "repository": published.settings}

    return prepare


def _own(_host: ThrowawayHost) -> dict[str, Any]:
    return {"source": "distribution"}


def _ubuntu(
    release: stand_in_ubuntu.Release, source: str | None
) -> Callable[[ThrowawayHost], dict[str, Any]]:
    def prepare(host: ThrowawayHost) -> dict[str, Any]:
        stand_in_ubuntu.disguise(host, release)
        if source != "nvidia":
            return {"source": source}
        return {"source": source, "repository": publish(host, "nvidia", *stand_in_nvidia.ubuntu()).settings}

    return prepare


CASES = (
    Case(
        "d12-nvidia",
        _nvidia_debian(stand_in_nvidia.OLD, stand_in_nvidia.NEW),
        stand_in_nvidia.OLD,
        "open",
        "12.9",
        "nvidia",
        suite="bookworm",
        nightly=True,
    ),
    Case(
        "d12-own",
        _own,
        _DEBIAN_12,
        "proprietary",
        None,
        "distribution",
        suite="bookworm",
        packages=(*debian_driver(_DEBIAN_12), *programs(_DEBIAN_12)),
        nightly=True,
    ),
    Case(
        "d13-nvidia",
        _nvidia_debian(stand_in_nvidia.NEW, _NEWER),
        stand_in_nvidia.NEW,
        "open",
        "12.4",
        "nvidia",
        packages=(*debian_driver(), StandIn("nvidia-cuda-toolkit", "13.0.2-1standin1")),
    ),
    Case(
        "u2404-nvidia",
        _ubuntu(stand_in_ubuntu.NOBLE, "nvidia"),
        stand_in_nvidia.OLD,
        "open",
        "12.9",
        "nvidia",
        nightly=True,
    ),
    Case(
        "u2404-own",
        _ubuntu(stand_in_ubuntu.NOBLE, "distribution"),
        stand_in_ubuntu.DRIVER,
        "open",
        "12.0",
        "distribution",
    ),
    Case(
        "u2604",
        _ubuntu(stand_in_ubuntu.RESOLUTE, None),
        stand_in_ubuntu.DRIVER,
        "open",
        "12.4",
        None,
        nightly=True,
    ),
)
_EACH = pytest.mark.parametrize(
    "case",
    [pytest.param(case, id=case.name, marks=pytest.mark.nightly if case.nightly else ()) for case in CASES],
)


@dataclass(frozen=True)
class Systems:
    """One host for each case, and one inventory of them all."""

    hosts: dict[str, ThrowawayHost]
    inventory: Path

    def labctl(self, verb: str) -> Run:
        """Run it on all of them at once."""
        return labctl(verb, self.inventory, "--json", "--only", "base,nvidia_driver,cuda", timeout_s=1800)

    def root(self, case: Case, command: str) -> str:
        """What a command prints on the host of a case."""
        return self.hosts[case.name].console_run(command).stdout.strip()


@pytest.fixture(scope="module")
def systems(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Systems]:
    """Those that a test was selected of."""
    folder = tmp_path_factory.mktemp("sources")
    cases: list[Case] = []
    for item in request.session.items:
        if isinstance(item, pytest.Function) and item.path == request.path:
            case = item.callspec.params["case"]
            assert isinstance(case, Case)
            cases += [] if case in cases else [case]
    hosts: dict[str, ThrowawayHost] = {}
    for suite in ("bookworm", "trixie"):
        names = [case.name for case in cases if case.suite == suite]
        if not names:
            continue
        layer = with_headers(throwaway_hosts, suite)
        hosts |= {host.name: host for host in throwaway_hosts.boot_all(*names, layer=layer)}
    entries = []
    for case in cases:
        host = hosts[case.name]
        simulated_driver.plug_in(host, cards(), b"")  # nobody asks NVML here
        if case.packages:
            offer(host, "driver", *case.packages)
        driver = {"in_container": True, **case.prepare(host)}
        entries.append((case.name, {**host.pyinfra_data(), "nvidia_driver": driver}))
    inventory = folder / "systems.py"
    inventory.write_text(f"hosts = {pprint.pformat(entries)}\n")
    yield Systems(hosts, inventory)
    for host in hosts.values():
        throwaway_hosts.destroy(host)


@pytest.fixture(scope="module")
def deployed(systems: Systems) -> Run:
    return systems.labctl("deploy")


@pytest.fixture(scope="module")
def again(systems: Systems, deployed: Run) -> Run:
    assert deployed.stdout
    return systems.labctl("deploy")


@pytest.fixture(scope="module")
def verified(systems: Systems, again: Run) -> Run:
    assert again.stdout
    return systems.labctl("verify")


@_EACH
def test_the_driver_of_its_source_and_branch_comes(systems: Systems, deployed: Run, case: Case) -> None:
    assert deployed.host(case.name)["status"] == "ok", deployed.host(case.name)
    loaded = systems.root(case, "cat /proc/driver/nvidia/version")
    assert case.driver in loaded
    assert ("Open Kernel Module" in loaded) == (case.flavour == "open")
    nvcc = systems.root(case, ". /etc/profile; nvcc --version 2>/dev/null || true")
    assert (f"release {case.nvcc}," in nvcc) if case.nvcc else nvcc == ""


@_EACH
def test_the_second_run_changes_nothing(systems: Systems, again: Run, case: Case) -> None:
    assert (again.host(case.name)["status"], again.changed(case.name)) == ("ok", set())
    found = preflight_again(systems.hosts[case.name], case.source)
    assert found.decision
    assert (found.decision.in_place, found.obstacles) == (True, ())


@_EACH
def test_all_checks_pass(verified: Run, case: Case) -> None:
    failed = [each for each in verified.host(case.name)["checks"] if each["status"] == "failed"]
    assert not failed
    assert verified.host(case.name)["status"] == "ok"


@_EACH
@pytest.mark.usefixtures("verified")
def test_an_upgrade_takes_neither_a_newer_branch_nor_cuda_13(systems: Systems, case: Case) -> None:
    versions = (
        "dpkg-query -W -f '${Package} ${Version}\\n' '*nvidia*' 'libcuda*' 'cuda-*' 2>/dev/null || true"
    )
    before = systems.root(case, versions)
    systems.root(
        case, "apt-get -qq update; DEBIAN_FRONTEND=noninteractive apt-get -qq full-upgrade -y >/dev/null"
    )
    assert systems.root(case, versions) == before
    assert "13.0" not in before
    assert systems.root(case, UNFINISHED) == ""
    # By these names one would get whatever is newest.
    for name in ("cuda", "cuda-toolkit"):
        policy = systems.root(case, f"apt-cache policy {name}")
        assert not policy or "Candidate: (none)" in policy


@_EACH
@pytest.mark.usefixtures("deployed")
def test_what_is_run_here_says_that_it_stands_in(systems: Systems, case: Case) -> None:
    names = systems.root(
        case,
        "dpkg-query -W -f '${Package}|${Description}\\n' 'libnvidia-compute*' 'libcuda1' 2>/dev/null || true",
    )
    assert all("STAND-IN" in line.partition("|")[2] for line in names.splitlines() if not line.endswith("|"))
    if case.name.startswith("u"):
        assert "STAND-IN" in systems.root(case, "cat /etc/os-release")
