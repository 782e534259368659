"""What goes wrong with real hosts, met as a new user meets it: one thing to read and to do, and nothing half-done.

Refused before anything is changed, the host is byte for byte as it was. Failed half-way, the next deploy completes it.
"""

from __future__ import annotations

import pprint
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.host import ssh
from tests.host.complaints import complain, fingerprint
from tests.host.cut_off_run import RunningDeploy
from tests.host.deploying import labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

Boot = Callable[..., ThrowawayHost]
_BASE = ("--only", "base")  # where this is enough: half the time
_DPKG_IS_BUSY_AFTER_LINES = 60


@pytest.fixture(scope="module")
def bare(throwaway_hosts: ThrowawayHosts) -> Iterator[ThrowawayHost]:
    """A host that every test leaves as it was. eve may not use sudo; adam may, with a password that nobody knows."""
    host = throwaway_hosts.boot("refusing")
    for user, groups in (("eve", "users"), ("adam", "sudo")):
        host.console_run(
            f"set -eu; useradd --create-home --groups {groups} {user}; "
            f"cp -a /home/lab/.ssh /home/{user}/; chown -R {user}: /home/{user}/.ssh"
        )
    yield host
    throwaway_hosts.destroy(host)


@contextmanager
def untouched(host: ThrowawayHost) -> Iterator[None]:
    """What the `with` block does must change nothing on the host."""
    before = fingerprint(host)
    yield
    assert fingerprint(host) == before


@contextmanager
def changed(host: ThrowawayHost, command: str, back: str) -> Iterator[None]:
    """The host as `command` (sh, as root) leaves it, until `back` is run."""
    host.console_run(f"set -eu; {command}")
    try:
        yield
    finally:
        host.console_run(f"set -eu; {back}")


@dataclass(frozen=True)
class Unreachable:
    """data: what differs in the inventory. message, hint: parts of what is said."""

    data: dict[str, object]
    message: str
    hint: str
    exit_code: int = 1


_UNREACHABLE = {
    "no such name": Unreachable(
        {"ssh_hostname": "aibox.invalid"}, "no host has this name", "is the name spelled right?"
    ),
    "port closed": Unreachable({"ssh_port": 2222}, "nothing answers on the SSH port", "ssh_port"),
    "no such user": Unreachable({"ssh_user": "nobody-here"}, "refuses this login", "ssh_user"),
    "key that is not let in": Unreachable({"ssh_key": "OTHER_KEY"}, "refuses this login", "ssh_key"),
    "no such key": Unreachable(
        {"ssh_key": "/no/such/key"}, "the SSH key cannot be used", "correct its path", 2
    ),
    "another machine's host key": Unreachable(
        {"ssh_known_hosts_file": "OTHER_HOST"}, "shows another key than before", "ssh-keygen -R"
    ),
    "unknown host key": Unreachable(
        {"ssh_known_hosts_file": "/dev/null"}, "key is not known here", "compare its fingerprint"
    ),
}


@pytest.mark.parametrize("case", _UNREACHABLE.values(), ids=_UNREACHABLE)
def test_a_host_that_cannot_be_reached_as_described(
    bare: ThrowawayHost, tmp_path: Path, case: Unreachable
) -> None:
    public_key = ssh.make_key(tmp_path / "other", "somebody else's")
    (tmp_path / "known_hosts").write_text(ssh.known_host(bare.ipv4, public_key))
    stand_ins = {"OTHER_KEY": str(tmp_path / "other"), "OTHER_HOST": str(tmp_path / "known_hosts")}
    data = {key: stand_ins.get(str(value), value) for key, value in case.data.items()}
    with untouched(bare):
        complaint = complain(write_inventory(tmp_path / "home.py", bare, **data))
    assert complaint.exit_code == case.exit_code
    error = complaint.host_error(bare.name)
    assert error["stage"] == "connect"
    assert case.message in error["message"]
    assert case.hint in error["hint"]
    assert case.message in complaint.text
    assert case.hint in complaint.text


@dataclass(frozen=True)
class Unfit:
    """message, hint: parts of what is said. data: of the inventory. command: makes the host so; back: undoes it."""

    message: str
    hint: str
    data: dict[str, object] = field(default_factory=dict)
    command: str = "true"
    back: str = "true"


_SMALL_VAR = "mount -t tmpfs -o size=900m,mode=755 tmpfs /mnt; cp -a /var/. /mnt/; mount --bind /mnt /var"
_OTHER_SYSTEM = "sed s/13/10/ /etc/os-release >/run/os-release; mount --bind /run/os-release /etc/os-release"
_UNFIT = {
    "login without sudo": Unfit("may not use sudo", "adduser eve sudo", {"ssh_user": "eve"}),
    "sudo with a password and nobody to ask": Unfit(
        "sudo wants a password and there is nobody to ask", "_sudo_password", {"ssh_user": "adam"}
    ),
    "no sudo at all": Unfit(
        "sudo is not installed",
        "ssh_user to root",
        command="mv /usr/bin/sudo /usr/bin/sudo.away",
        back="mv /usr/bin/sudo.away /usr/bin/sudo",
    ),
    "unsupported system": Unfit(
        "debian 10 is not supported",
        "install one of these",
        command=_OTHER_SYSTEM,
        back="umount /etc/os-release",
    ),
    "full disk": Unfit(
        "the disk is too full", "sudo apt-get clean", command=_SMALL_VAR, back="umount /var /mnt"
    ),
}


@pytest.mark.parametrize("case", _UNFIT.values(), ids=_UNFIT)
def test_a_host_that_nothing_can_be_deployed_on(bare: ThrowawayHost, tmp_path: Path, case: Unfit) -> None:
    with untouched(bare), changed(bare, case.command, case.back), untouched(bare):
        complaint = complain(write_inventory(tmp_path / "home.py", bare, **case.data))
    assert complaint.exit_code == 1
    error = complaint.host_error(bare.name)
    assert error["stage"] == "prepare"
    assert case.message in error["message"]
    assert case.hint in error["hint"]
    assert case.message in complaint.text
    assert case.hint in complaint.text


@pytest.mark.nightly
def test_debian_12_is_told_how_to_go_on_without_podman(boot_host: Boot, tmp_path: Path) -> None:
    host = boot_host("bookworm", suite="bookworm")
    inventory = write_inventory(tmp_path / "home.py", host)
    with untouched(host):
        complaint = complain(inventory)
    assert complaint.exit_code == 1
    assert "Debian 12 has Podman 4.3" in complaint.host_error(host.name)["message"]
    assert "--skip podman" in complaint.text
    deploy = labctl("deploy", inventory, "--skip", "podman")
    assert deploy.exit_code == 0, deploy.stdout
    check = labctl("check", inventory, "--skip", "podman")
    assert check.exit_code == 0, check.stdout


def test_one_unreachable_host_does_not_keep_the_other_from_its_deploy(
    boot_host: Boot, throwaway_hosts: ThrowawayHosts, tmp_path: Path
) -> None:
    host = boot_host("reachable")
    nowhere = {**host.pyinfra_data(), "ssh_hostname": throwaway_hosts.session.subnet.ipv4(249)}
    inventory = tmp_path / "home.py"
    inventory.write_text(
        f"hosts = {pprint.pformat([('ghost', nowhere), (host.name, host.pyinfra_data())])}\n"
    )
    run = labctl("deploy", inventory, "--only", "firewall")
    assert run.exit_code == 1
    assert "ghost: FAILED\n  not reached: the host does not answer" in run.stdout
    assert f"{host.name}: " in run.stdout
    assert run.stdout.index(f"{host.name}: ") < run.stdout.index("ghost: "), "what failed stands last"
    document = labctl("check", inventory, "--only", "firewall", "--json")
    assert document.exit_code == 1
    assert document.host("ghost")["status"] == "failed"
    assert document.host(host.name)["status"] == "ok"


def test_without_a_network_and_with_a_disk_that_fills_up_it_fails_clearly_and_goes_on_later(
    boot_host: Boot, tmp_path: Path
) -> None:
    host = boot_host("unlucky")
    inventory = write_inventory(tmp_path / "home.py", host)

    # Whatever networkd still has to add would bring the way out back.
    settled = "networkctl status host0 | grep -q 'State:.*(configured)'"
    waited = f"for _ in $(seq 100); do {settled} && break; sleep 0.2; done"
    no_way_out = f"{waited}; ip route del default; ip -6 route del default 2>/dev/null || true"
    with changed(host, no_way_out, "networkctl reconfigure host0"):
        offline = complain(inventory, *_BASE)
    assert offline.exit_code == 1, offline.text
    assert "the host does not reach its package archive" in offline.text, offline.person.stdout
    assert "check its network" in offline.text
    host.wait_for_ssh()

    host.console_run(f"set -eu; {_SMALL_VAR}; mount -o remount,size=1600m /mnt")
    with RunningDeploy(host, inventory, "labctl", *_BASE) as run:
        run.wait_until_ended("base: security updates")
        host.console_run(
            f"while [ $(wc -l </var/log/dpkg.log || echo 0) -lt {_DPKG_IS_BUSY_AFTER_LINES} ]; do sleep 0.1; done; "
            "dd if=/dev/zero of=/var/filler bs=1M count=1600 2>/dev/null || true"
        )
        assert run.process.wait(300) == 1
        assert "the disk ran full" in run.output
        assert "free some room" in run.output
    full = complain(inventory, *_BASE)
    assert full.exit_code == 1
    assert "the disk is too full" in full.text

    host.console_run("rm /var/filler")
    deploy = labctl("deploy", inventory, *_BASE)
    assert deploy.exit_code == 0, deploy.stdout
    assert host.console_run("dpkg --audit; find / -xdev -name '*.labctl-new'").stdout == ""
    check = labctl("check", inventory, *_BASE)
    assert check.exit_code == 0, check.stdout
