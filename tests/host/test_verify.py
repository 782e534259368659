"""`labctl verify` on real hosts: good ones pass, and of wrong ones it names what is wrong and nothing else."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from roles.base.deploy import HOLD_SCRIPT
from roles.container_toolkit import checks as container_toolkit_checks
from roles.cuda import checks as cuda_checks
from roles.firewall.ruleset import RULES
from roles.nvidia_driver import checks as nvidia_driver_checks
from roles.nvidia_persistence import checks as nvidia_persistence_checks
from tests.host.complaints import too_wide
from tests.host.converged import converged_layer
from tests.host.deploying import Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

CLOCK = "the clock is synchronised"
HELD = "driver and kernel are held back from updates"
# What a container cannot show; limits only where the machine outside is as strict.
NOT_RUN_HERE = {CLOCK, HELD, "the kernel settings asked for are in force"}
# Nothing of it means anything on a machine without a card.
OF_CARDS = {
    "nvidia_driver": nvidia_driver_checks,
    "cuda": cuda_checks,
    "nvidia_persistence": nvidia_persistence_checks,
    "container_toolkit": container_toolkit_checks,
}
NOT_RUN_HERE |= {
    check.__doc__
    for checks in OF_CARDS.values()
    for name, check in vars(checks).items()
    if name.startswith("test_")
}
# A machine without a card, of which nothing is asked.
NOT_RUN_HERE |= {
    "each card has the power limit asked for",
    "each card that is to be limited answers",
    "the limits are set again after sleep and after a driver that was loaded anew",
    "each card was locked since boot as asked, and runs at no clock above",
    "each card that is to be locked answers",
    "clocks are locked again after sleep and after a driver that was loaded anew",
    "cards that NVLink joins reach each other's memory",
    "the exporter listens on loopback alone, unless it is exposed",
    "the exporter tells of the host",
    "the exporter tells of every card, and of what is so now",
}
LIMITS = {"a new service gets the limits inference needs", "a login gets the limits inference needs"}

# Each command plants one fault in the base system; the check that must find it.
BASE_FAULTS = {
    "sed -i '/^Package: curl$/,/^$/s/^Status: .*/Status: install ok half-configured/' /var/lib/dpkg/status": (
        "dpkg and apt find nothing half-done"
    ),
    "dpkg --remove --force-depends pciutils": "the packages asked for are installed",
    "sed -i 's/ non-free / /' /etc/apt/sources.list.d/*.sources": "apt knows every component it needs",
    "systemctl stop apt-daily-upgrade.timer": "security updates come as asked, and never a reboot",
    "printf '[Journal]\\nSystemMaxUse=4G\\n' >/etc/systemd/journald.conf.d/60-mine.conf": (
        "the running journald keeps to its limit"
    ),
    "echo vm.swappiness=60 >/etc/sysctl.d/99-mine.conf": "the next boot makes the kernel settings asked for",
    "systemd-run --quiet --unit=labctl-mine false": "no unit that labctl looks after has failed",
    "chmod 644 /var/lib/labctl/receipt.json": "the receipt is there, for root alone",
}
FIREWALL_FAULTS = {
    "nft delete table inet labctl": "the rules loaded are those of the file",
    "systemctl disable labctl-firewall": "the rules are loaded at every boot",
    "systemd-run --quiet --on-active=1h --unit=labctl-firewall-undo true": (
        "no change of the rules waits to be undone"
    ),
}
# In the file alone, so that nobody is locked out and everything is.
RULES_FAULTS = {
    f"sed -i '/^table inet labctl$/i flush ruleset' {RULES}": "loading them again leaves other tables alone",
    f"sed -i '/ct state invalid/a meta nfproto ipv6 tcp dport 22 drop' {RULES}": (
        "from outside: SSH and what is exposed, nothing else"
    ),
    f"sed -i 's/ct status dnat drop/ct status dnat accept/' {RULES}": (
        "from outside: no container's port but the exposed"
    ),
}
PODMAN_FAULTS = {
    'echo unqualified-search-registries=[\\"quay.io\\"] >/etc/containers/registries.conf.d/60-mine.conf': (
        "registries and mirrors are those asked for"
    ),
    "printf '[containers]\\nlog_driver=\"k8s-file\"\\n' >/etc/containers/containers.conf.d/60-mine.conf": (
        "containers log to the journal"
    ),
    "touch /etc/containers/labctl-auth.json": "registry logins are those asked for, for root alone",
    "systemctl disable --now labctl-prune-images.timer": "old images are looked for as often as asked",
    "chmod -x /usr/libexec/podman/quadlet": "Quadlet makes a service of a unit",
}


@pytest.fixture(scope="module")
def host(throwaway_hosts: ThrowawayHosts) -> Iterator[ThrowawayHost]:
    converged = throwaway_hosts.boot("verified", layer=converged_layer(throwaway_hosts))
    yield converged
    throwaway_hosts.destroy(converged)


@pytest.fixture
def inventory(host: ThrowawayHost, tmp_path: Path) -> Path:
    return write_inventory(tmp_path / "home.py", host)


@pytest.fixture
def spoiled(host: ThrowawayHost) -> Iterator[ThrowawayHost]:
    yield host
    host.reset()


def names(run: Run, status: str, host: str = "verified") -> set[str]:
    """The checks of a host that ended so."""
    return {check["name"] for check in run.host(host)["checks"] if check["status"] == status}


def test_a_converged_host_passes_and_says_what_cannot_be_shown_here(inventory: Path) -> None:
    run = labctl("verify", inventory, "--json")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert names(run, "failed") == set()
    assert NOT_RUN_HERE <= names(run, "not run here") <= NOT_RUN_HERE | LIMITS
    about = run.host("verified")
    assert {check["role"] for check in about["checks"] if check["status"] == "passed"} == {
        "base",
        "firewall",
        "podman",
        "gpu_power",
        "gpu_tuning",
        "monitoring",
    }
    assert about["roles"] == [
        "base",
        "firewall",
        *OF_CARDS,
        "podman",
        "monitoring",
        "gpu_power",
        "gpu_tuning",
        "workloads",  # which has no check here: nothing was put in place
    ]
    # A check that asked four times would wait for four round trips.
    assert about["remote_commands"] <= 2 * len(about["checks"])


def test_a_person_reads_a_line_for_each_check(inventory: Path) -> None:
    run = labctl("verify", inventory, "--only", "base", env={"COLUMNS": "200"})
    assert run.exit_code == 0, run.stdout + run.stderr
    assert (
        f"    not run here: {CLOCK}: systemd-nspawn: the clock belongs to the machine outside\n" in run.stdout
    )
    assert f"    ok: {BASE_FAULTS['systemctl stop apt-daily-upgrade.timer']}\n" in run.stdout
    assert "that cannot be run here." in run.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    ("role", "faults", "also"),
    [
        # A package that is half configured is not installed either; and one is enough to miss.
        ("base", BASE_FAULTS, set()),
        ("firewall", FIREWALL_FAULTS, set()),
        ("firewall", RULES_FAULTS, {"the rules loaded are those of the file"}),
        ("podman", PODMAN_FAULTS, set()),
    ],
    ids=["base", "firewall", "rules", "podman"],
)
def test_each_fault_is_named_and_nothing_else(
    spoiled: ThrowawayHost, inventory: Path, role: str, faults: dict[str, str], also: set[str]
) -> None:
    for command in faults:
        spoiled.console_run(command)
    run = labctl("verify", inventory, "--only", role, "--json")
    assert run.exit_code == 3, run.stdout + run.stderr
    assert names(run, "failed") == set(faults.values()) | also
    reasons = {check["reason"] for check in run.host("verified")["checks"] if check["status"] == "failed"}
    assert None not in reasons
    assert all("\n" not in reason for reason in reasons)


def test_a_doctor_says_why_and_what_to_do(spoiled: ThrowawayHost, inventory: Path) -> None:
    well = labctl("doctor", inventory, env={"COLUMNS": "80"})
    assert well.exit_code == 0, well.stdout + well.stderr
    assert well.stdout.startswith("All well on verified: ")
    assert well.stdout.count("\n") <= 2
    faults = {
        "nft delete table inet labctl": ("nothing is filtered", "`labctl deploy --only firewall`"),
        "chmod 644 /var/lib/labctl/receipt.json": ("others may read it", "`labctl deploy`"),
        "chmod -x /usr/bin/podman": ("came to no answer", "Run the command named below"),
    }
    for command in faults:
        spoiled.console_run(command)
    ill = labctl("doctor", inventory, env={"COLUMNS": "80"})
    assert ill.exit_code == 3, ill.stdout + ill.stderr
    text = " ".join(ill.stdout.split())
    assert too_wide(ill.stdout) == []
    for cause, fix in faults.values():
        assert f"{fix}" in text.partition(cause)[2].partition(" - ")[0], ill.stdout
    document = labctl("doctor", inventory, "--json")
    assert document.exit_code == 3
    for check in document.host("verified")["checks"]:
        assert (check["outcome"] == "failed") == (check["cause"] is not None) == (check["fix"] is not None)


def test_who_cannot_be_asked_is_no_failed_check_for_a_doctor_either(
    host: ThrowawayHost, tmp_path: Path
) -> None:
    gone = write_inventory(tmp_path / "gone.py", host, ssh_port=1)
    run = labctl("doctor", gone)
    assert run.exit_code == 1, run.stdout + run.stderr
    assert run.stdout.startswith("verified: not reached: ")
    assert labctl("doctor", write_inventory(tmp_path / "typo.py", host, firewal={}), "--json").exit_code == 2


def test_names_are_resolved_through_the_firewall(spoiled: ThrowawayHost, inventory: Path) -> None:
    # The rule without which containers on a network of their own get no answer from Podman's resolver.
    rule = "nft -a list chain inet labctl input | sed -n 's/.*podman.*handle //p'"
    spoiled.console_run(f'nft delete rule inet labctl input handle "$({rule})"')
    run = labctl("verify", inventory, "--only", "podman", "--json")
    assert run.exit_code == 3, run.stdout + run.stderr
    assert names(run, "failed") == {"containers resolve names"}


def test_a_kernel_installed_past_apt_is_missed(spoiled: ThrowawayHost, inventory: Path) -> None:
    control = (
        "Package: linux-image-9.9-labctl\\nSource: linux-signed-amd64\\nVersion: 9.9\\nArchitecture: amd64\\n"
    )
    spoiled.console_run(
        "set -e; cd $(mktemp -d); mkdir -p p/DEBIAN p/boot; touch p/boot/vmlinuz-9.9-labctl; "
        f"printf '{control}Maintainer: nobody\\nDescription: none\\n' >p/DEBIAN/control; "
        "dpkg-deb -b p p.deb; dpkg -i p.deb"
    )
    missed = labctl("verify", inventory, "--only", "base", env={"COLUMNS": "200"})
    assert missed.exit_code == 3, missed.stdout + missed.stderr
    assert missed.stdout.count("FAILED: ") == 1
    assert f"- base: {HELD}\n    FAILED: not held back: linux-image-9.9-labctl\n" in missed.stdout
    spoiled.console_run(HOLD_SCRIPT)
    held = labctl("verify", inventory, "--only", "base", "--json")
    assert held.exit_code == 0, held.stdout + held.stderr
    assert HELD in names(held, "passed")


def test_hosts_are_verified_beside_one_another(
    host: ThrowawayHost, throwaway_hosts: ThrowawayHosts, tmp_path: Path
) -> None:
    bare = throwaway_hosts.boot("bare")
    run = labctl(
        "verify", write_inventory(tmp_path / "two.py", host, bare, firewall={"manage": False}), "--json"
    )
    throwaway_hosts.destroy(bare)
    assert run.exit_code == 3, run.stdout + run.stderr
    assert names(run, "failed") == set()
    assert "the packages asked for are installed" in names(run, "failed", "bare")
    for each in ("verified", "bare"):
        firewall = [check for check in run.host(each)["checks"] if check["role"] == "firewall"]
        assert {check["status"] for check in firewall} == {"not run here"}
        assert {check["reason"] for check in firewall} == {"firewall.manage is False"}


def test_a_connection_that_breaks_is_no_failed_check(spoiled: ThrowawayHost, inventory: Path) -> None:
    # Whoever asks apt for its policy loses the shell that asked.
    program = "/usr/local/sbin/apt-cache"
    spoiled.console_run(f"printf '#!/bin/sh\\npkill -9 sshd-session\\n' >{program}; chmod 755 {program}")
    run = labctl("verify", inventory, "--only", "base", "--json")
    assert run.exit_code == 1, run.stdout + run.stderr
    about = run.host("verified")
    assert "the connection broke" in about["error"]["message"]
    assert names(run, "failed") == set()
    assert len(names(run, "passed")) == 2


def test_who_cannot_get_in_is_told_why_in_a_line(spoiled: ThrowawayHost, tmp_path: Path) -> None:
    host = spoiled
    wrong_key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", wrong_key], check=True)
    host.console_run(
        "set -e; for user in stranger asked; do useradd -m $user; cp -r /home/lab/.ssh /home/$user/; "
        "chown -R $user: /home/$user/.ssh; done; usermod -aG sudo asked; echo asked:secret | chpasswd"
    )
    for data, message in (
        ({"ssh_key": str(wrong_key)}, "the host refuses this login"),
        ({"ssh_hostname": "no-such-host.invalid"}, "no host has this name"),
        ({"ssh_user": "stranger"}, "the login may not use sudo"),
        ({"ssh_user": "asked"}, "sudo wants a password and there is nobody to ask"),
        ({"ssh_user": "asked", "_sudo_password": "guess"}, "sudo does not take this password"),
    ):
        run = labctl("verify", write_inventory(tmp_path / "wrong.py", host, **data), "--json")
        assert run.exit_code == 1, run.stdout + run.stderr
        error = run.host("verified")["error"]
        assert message in error["message"]
        assert "\n" not in error["message"] + error["hint"]
        assert run.host("verified")["checks"] == []
        assert run.stderr == ""
    given = write_inventory(tmp_path / "right.py", host, ssh_user="asked", _sudo_password="secret")
    assert labctl("verify", given, "--only", "base", "--json").exit_code == 0


def test_a_typo_is_bad_input(host: ThrowawayHost, tmp_path: Path) -> None:
    run = labctl("verify", write_inventory(tmp_path / "typo.py", host, firewal={}), "--json")
    assert run.exit_code == 2
    assert "did you mean firewall?" in json.dumps(run.document)
    unknown = labctl("verify", write_inventory(tmp_path / "home.py", host), "--only", "bsae", "--json")
    assert unknown.exit_code == 2
    assert "no role is called bsae" in json.dumps(unknown.document)
