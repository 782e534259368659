"""A vendor's repository on a real apt: trusted by its one known key, and gone without a trace when it is not that."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.edges.rigs import read_rig
from roles.container_toolkit.deploy import PACKAGE
from tests.host import simulated_driver
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.stand_in_repository import TOOLKIT, StandInRepository, publish
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_REPOSITORY = "container_toolkit: repository"
_SIGNED = "/usr/local/share/stand-in/container-toolkit/InRelease"
_SOURCES = "/etc/apt/sources.list.d/labctl-container-toolkit.sources"


class Vendor:
    """A host with cards on its bus and no driver, and a repository on its disk."""

    def __init__(self, host: ThrowawayHost, repository: StandInRepository, folder: Path) -> None:
        self.host, self.repository, self._folder = host, repository, folder

    def labctl(self, verb: str, fingerprint: str | None = None) -> Run:
        settings = self.repository.settings
        settings["fingerprint"] = fingerprint or settings["fingerprint"]
        inventory = write_inventory(
            self._folder / "home.py",
            self.host,
            nvidia_driver={"in_container": True},
            container_toolkit={"repository": settings},
        )
        return labctl(verb, inventory, "--json", "--only", "base,container_toolkit", timeout_s=600)

    def root(self, command: str) -> str:
        return self.host.console_run(command, check=False).stdout.strip()


@pytest.fixture(scope="module")
def vendor(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    host = throwaway_hosts.boot("vendor")
    cards = read_rig(str(CHECKOUT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]
    simulated_driver.plug_in(host, cards, b"")
    yield Vendor(host, publish(host, "container-toolkit", TOOLKIT), tmp_path_factory.mktemp("inventory"))
    throwaway_hosts.destroy(host)


def _in_order(vendor: Vendor) -> bool:
    return (
        vendor.root(
            f"find {_SOURCES} /etc/apt/keyrings -type f 2>/dev/null; apt-get -qq update 2>&1; apt-get -qq check"
        )
        == ""
    )


def test_another_key_is_refused_before_apt_hears_of_it(vendor: Vendor) -> None:
    run = vendor.labctl("deploy", fingerprint="A" * 40)
    assert run.exit_code == 1, run.stdout + run.stderr
    assert "a repository's key is not the one that is known" in run.stdout
    assert vendor.repository.fingerprint in run.stdout, run.stdout
    assert _in_order(vendor)


def test_what_the_key_did_not_sign_is_taken_back(vendor: Vendor) -> None:
    vendor.root(f"cp {_SIGNED} /root/; sed -i 's/^Label: /Label: x/' {_SIGNED}")
    run = vendor.labctl("deploy")
    assert run.exit_code == 1, run.stdout + run.stderr
    assert _in_order(vendor)
    vendor.root(f"mv /root/InRelease {_SIGNED}")


def test_the_right_key_brings_its_packages(vendor: Vendor) -> None:
    run = vendor.labctl("deploy")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert "install ok installed" in vendor.root(f"dpkg-query -W -f '${{Status}}' {PACKAGE}")
    assert vendor.labctl("deploy").changed(vendor.host.name) == set()


def test_a_source_edited_by_hand_is_drift(vendor: Vendor) -> None:
    vendor.root(f"sed -i 's/^Signed-By.*/Trusted: yes/' {_SOURCES}")
    found = vendor.labctl("check")
    assert (found.exit_code, found.pending(vendor.host.name)) == (3, {_REPOSITORY: "drift"})
    assert vendor.labctl("deploy").changed(vendor.host.name) == {_REPOSITORY}
    assert "Trusted" not in vendor.root(f"cat {_SOURCES}")
