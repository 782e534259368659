"""From bare to converged, and every way off it again: what check says is what the deploy then does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.host.deploying import labctl, pyinfra, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_RECEIPT = "deploy: receipt"


@pytest.fixture(scope="module")
def host() -> Iterator[ThrowawayHost]:
    with ThrowawayHosts() as hosts:
        yield hosts.boot("aibox")


@pytest.fixture(scope="module")
def inventory(host: ThrowawayHost, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_inventory(tmp_path_factory.mktemp("inventory") / "home.py", host)


@pytest.fixture(scope="module")
def converged(host: ThrowawayHost, inventory: Path) -> ThrowawayHost:
    """The first deploy, by plain pyinfra over SSH as a sudo user, after a look at what it would do."""
    before = labctl("check", inventory, "--json")
    assert before.exit_code == 3, before.stderr
    said = before.pending("aibox")
    assert set(said.values()) == {"new host"}
    first = pyinfra(inventory, "deploy/gpu_host.py", "-y", "--json")
    assert first.exit_code == 0, first.stderr
    results = first.document["results"]["operations"]
    ran = {_name(operation["name"]) for operation in results if "aibox" in operation["success"]}
    assert ran, "a fresh host has something to change"
    assert ran <= set(said), f"ran without a word from check: {ran - set(said)}"
    certain = set(before.pending("aibox", "certain"))
    assert certain <= ran, f"called certain and did not run: {certain - ran}"
    return host


def _name(operation: str) -> str:
    return operation.replace(" | ", ": ", 1)


@pytest.mark.usefixtures("converged")
def test_the_second_run_changes_nothing_by_pyinfras_own_count(inventory: Path) -> None:
    second = pyinfra(inventory, "deploy/gpu_host.py", "-y", "--json")
    assert second.exit_code == 0, second.stderr
    totals = second.document["results"]["totals"]
    assert totals["success"] == totals["error"] == 0
    assert totals["no_change"] >= 20


def test_then_check_has_nothing_to_say_and_costs_under_a_command_an_operation(
    converged: ThrowawayHost, inventory: Path
) -> None:
    run = labctl("check", inventory, "--json")
    assert run.exit_code == 0, run.stdout
    about = run.host(converged.name)
    deploy = labctl("deploy", inventory, "--json").host(converged.name)
    assert about["pending"] == []
    assert deploy["changed"] == 0
    # Facts, and one survey: whatever the number of operations.
    assert about["remote_commands"] == deploy["remote_commands"] == 2
    assert deploy["unchanged"] >= 20


@dataclass(frozen=True)
class Planted:
    """A change of the host by hand (`command`, as root) or of the inventory (`data`), and what must follow from it."""

    name: str
    operations: set[str]
    command: str = ""
    data: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    removed: bool = False

    @property
    def cause(self) -> str:
        return "news" if self.data or self.removed else "drift"


_JOURNALD = "/etc/systemd/journald.conf.d/50-labctl.conf"
_UPGRADES = "/etc/apt/apt.conf.d/52labctl-unattended-upgrades"
_TIMER = "labctl-prune-images.timer"
_HALF_INSTALL = (
    "cd /tmp; apt-get -yq remove curl; apt-get -q download curl; dpkg --unpack ./curl*.deb; rm curl*.deb"
)
_HALF_UNPACKED = (  # as a power cut leaves it
    "sed -i '/^Package: curl$/,/^$/ s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status"
)
_EDITED = (
    Planted("file edited by hand", {"base: journal size limit", "base: journald"}, f"echo '#' >>{_JOURNALD}"),
    Planted("mode of a file", {"base: kernel settings"}, "chmod 600 /etc/sysctl.d/60-labctl.conf"),
    Planted("file removed", {"podman: configuration"}, "rm /etc/containers/storage.conf"),
    Planted("file replaced by a link", {"base: security updates"}, f"ln -sf /dev/null {_UPGRADES}"),
    Planted("unit stopped", {"podman: image pruning"}, f"systemctl stop {_TIMER}"),
    Planted("unit disabled", {"base: security update timer"}, "systemctl disable apt-daily-upgrade.timer"),
    Planted("firewall stopped", {"firewall: rules", "firewall: boot unit"}, "systemctl stop labctl-firewall"),
    Planted(
        "apt component gone",
        {"base: apt components"},
        "sed -i 's/ contrib//' /etc/apt/sources.list.d/*.sources",
    ),
    Planted("receipt readable by all", {_RECEIPT}, "chmod 644 /var/lib/labctl/receipt.json"),
    Planted(
        "held packages forgotten",
        {"base: driver and kernel held back"},
        "rm /etc/apt/apt.conf.d/54labctl-held",
    ),
)
_REMOVED = (
    Planted("package purged", {"base: packages"}, "apt-get -yq purge unattended-upgrades"),
    Planted("unit masked", {"base: security update timer"}, "systemctl mask --now apt-daily-upgrade.timer"),
    Planted(
        "unit file edited",
        {"podman: image pruning files", "podman: image pruning"},
        f"sed -i s/weekly/hourly/ /etc/systemd/system/{_TIMER}",
    ),
    Planted(
        "firewall rule by hand", {"firewall: rules"}, "nft add rule inet labctl input tcp dport 80 accept"
    ),
    Planted(
        "hold script gone", {"base: security updates"}, "rm /usr/local/lib/labctl/hold-driver-and-kernel"
    ),
)
_HALF_INSTALLED = (
    Planted("package half installed", {"base: package database"}, _HALF_INSTALL),
    Planted("firewall file edited", {"firewall: rules"}, "echo '# mine' >>/etc/labctl/firewall.nft"),
    Planted(
        "service of a timer edited",
        {"podman: image pruning files", "podman: image pruning"},
        "echo '# mine' >>/etc/systemd/system/labctl-prune-images.service",
    ),
)
_ASKED_FOR = (
    Planted(
        "another journal size",
        {"base: journal size limit", "base: journald", _RECEIPT},
        data={"base": {"journald_max_use": "2G"}},
    ),
    Planted("one more package", {"base: packages", _RECEIPT}, data={"base": {"packages": ["jq"]}}),
    Planted("port exposed", {"firewall: rules", _RECEIPT}, data={"firewall": {"exposed": [{"port": 443}]}}),
    Planted(
        "kernel setting",
        {"base: kernel settings", _RECEIPT},
        data={"base": {"sysctls": {"vm.swappiness": 5}}},
    ),
)
_NOT_ANY_MORE = (
    Planted("journal size back", {"base: journal size limit", "base: journald", _RECEIPT}, removed=True),
    Planted("package not wanted any more", {_RECEIPT}, removed=True),
    Planted("port closed again", {"firewall: rules", _RECEIPT}, removed=True),
    Planted("kernel setting gone", {"base: kernel settings", _RECEIPT}, removed=True),
)
# What belongs to different operations is planted together: what a check names is told apart all the same.
_ROUNDS = (
    _EDITED,
    _REMOVED,
    _HALF_INSTALLED,
    (Planted("package half unpacked", {"base: package database"}, _HALF_UNPACKED),),
    _ASKED_FOR,
    _NOT_ANY_MORE,
)


@pytest.mark.parametrize("planted", _ROUNDS, ids=lambda planted: ", ".join(each.name for each in planted))
def test_check_names_exactly_what_the_deploy_then_runs(
    converged: ThrowawayHost, tmp_path: Path, planted: tuple[Planted, ...]
) -> None:
    found = [operation for each in planted for operation in each.operations - {_RECEIPT}]
    assert len(found) == len(set(found)), "two changes of one operation in a round"
    operations = {operation for each in planted for operation in each.operations}
    (cause,) = {each.cause for each in planted}
    data: dict[str, dict[str, object]] = {}
    for each in planted:
        for role, settings in each.data.items():
            data.setdefault(role, {}).update(settings)
        if each.command:
            converged.console_run(each.command)
    inventory = write_inventory(tmp_path / "home.py", converged, **data)
    check = labctl("check", inventory, "--json")
    assert check.exit_code == 3, check.stdout
    assert check.pending(converged.name, "possible") == {}
    assert check.pending(converged.name) == dict.fromkeys(operations, cause)
    deploy = labctl("deploy", inventory, "--json")
    assert deploy.exit_code == 0, deploy.stdout
    assert deploy.changed(converged.name) == operations
    after = labctl("check", inventory, "--json")
    assert after.exit_code == 0, after.stdout


def test_drift_and_news_are_told_apart_in_one_check(converged: ThrowawayHost, tmp_path: Path) -> None:
    inventory = write_inventory(tmp_path / "home.py", converged, base={"sysctls": {"vm.swappiness": 1}})
    converged.console_run("rm /etc/containers/storage.conf")
    check = labctl("check", inventory, "--json")
    assert check.pending(converged.name) == {
        "base: kernel settings": "news",
        "podman: configuration": "drift",
        _RECEIPT: "news",
    }


def test_only_and_skip_leave_the_other_roles_alone(converged: ThrowawayHost, inventory: Path) -> None:
    converged.console_run(f"rm -f /etc/containers/storage.conf; echo '#' >>{_JOURNALD}")
    assert set(labctl("check", inventory, "--json", "--only", "podman").pending("aibox")) == {
        "podman: configuration"
    }
    assert labctl("deploy", inventory, "--json", "--skip", "base").changed("aibox") >= {
        "podman: configuration"
    }
    assert set(labctl("check", inventory, "--json").pending("aibox")) >= {"base: journald"}
    assert labctl("deploy", inventory).exit_code == 0


def test_security_updates_leave_the_driver_and_the_kernel_alone(converged: ThrowawayHost) -> None:
    converged.console_run("apt-get -yq --no-install-recommends install libnvidia-cfg1 linux-config-6.12")
    said = converged.console_run("unattended-upgrade --dry-run --debug 2>&1").stdout
    blacklist = next(line for line in said.splitlines() if line.startswith("Initial blacklist:"))
    held = [re.compile(word) for word in blacklist.split()[2:]]
    # What nvidia-graphics-drivers brought along has other names, and the kernel's have dots in theirs.
    for package in ("libnvidia-cfg1", "nvidia-alternative", "linux-config-6.12"):
        assert any(pattern.match(package) for pattern in held), f"{package} is not in: {blacklist}"
    assert not any(pattern.match("openssh-server") for pattern in held)


def test_an_image_is_pruned_when_nothing_named_it_twice_in_a_row(converged: ThrowawayHost) -> None:
    images = (
        *("localhost/old:1", "localhost/of-a-unit:1", "localhost/of-a-container:1"),
        *("localhost/spaced:1", "localhost/untagged:latest"),
    )
    for number, image in enumerate(images):
        converged.console_run(f"cd /tmp && echo {number} >file && tar c file | podman import -q - {image}")
    converged.console_run(
        "install -d /etc/containers/systemd/deeper && cd /etc/containers/systemd &&"
        " printf '[Container]\\nImage=localhost/of-a-unit:1\\n' >x.container &&"
        " printf '[Container]\\nImage = localhost/spaced:1\\n' >y.container &&"
        " printf '[Container]\\nImage=localhost/untagged\\n' >deeper/z.container"
    )
    converged.console_run("podman create --name keeps localhost/of-a-container:1 /file")
    for expected in (set(images), set(images[1:])):
        converged.console_run("systemctl start labctl-prune-images.service")
        left = converged.console_run("podman images --format '{{.Repository}}:{{.Tag}}'").stdout.split()
        assert set(left) == expected
    converged.console_run("podman rm keeps; podman rmi -a; rm -r /etc/containers/systemd/*")


def test_it_is_all_still_so_after_a_reboot(converged: ThrowawayHost, inventory: Path) -> None:
    converged.reboot()
    check = labctl("check", inventory, "--json")
    assert check.exit_code == 0, check.stdout
    assert converged.wait_running() == "running"
