"""What a host is: the one command that is run before anything else, without privileges, and its answer as a value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from labctl.errors import Failed

# Debian 13 and the Ubuntu LTS releases carry services; Debian 12's Podman 4.3 has no Quadlet, so it gets GPU roles
# only.
SUPPORTED = {
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("ubuntu", "24.04"): "noble",
    ("ubuntu", "26.04"): "resolute",
}

# Podman and its dependencies unpack to about 400 MiB, apt lists and archives to 300 MiB more; a host that has them
# needs room for small files.
_LEAST_FREE_MIB, _LEAST_FREE_DEPLOYED_MIB = 1024, 100

_LOGIN = r"""export LC_ALL=C
echo "uid $(id -u)"
echo "login $(id -un)"
echo "groups $(id -nG)"
echo "sudo $(command -v sudo >/dev/null && echo yes || echo no)"
if [ "$(id -u)" != 0 ]; then echo "sudo-says $(sudo -n true 2>&1 | tail -n 1)"; fi
. /etc/os-release 2>/dev/null; echo "os ${ID:-unknown} ${VERSION_ID:-unknown}"; echo "codename ${VERSION_CODENAME:-}"
echo "init $(cat /proc/1/comm 2>/dev/null)"
"""
LOGIN_SCRIPT = f"{_LOGIN}echo end\n"
"""For who only wants a shell there: all that `parse_login` reads."""
SCRIPT = (
    _LOGIN
    + r"""echo "arch $(uname -m)"
echo "kernel $(uname -r)"
echo "ssh-ports ${SSH_CONNECTION##* } $(sed -nE 's/^[[:space:]]*[Pp]ort[[:space:]=]+([0-9]+).*/\1/p' \
  /etc/ssh/sshd_config /etc/ssh/sshd_config.d/*.conf 2>/dev/null | tr '\n' ' ') $(systemctl -q is-active ssh.socket &&
  systemctl show -p Listen --value ssh.socket | grep -oE ':[0-9]+ ' | tr -d ':\n')"
echo "deployed $([ -e /var/lib/labctl/receipt.json ] && echo yes)"
echo "container $(systemd-detect-virt --container 2>/dev/null)"
echo "free $(df -Pm / /var | awk 'NR>1{printf "%s ", $4}')"
echo "memory $(awk '/MemTotal/{print int($2/1024)}' /proc/meminfo)"
systemctl -q is-active firewalld.service 2>/dev/null && echo "running firewalld"
# Ubuntu's unit for ufw is active on every server; whether ufw filters anything stands in its configuration.
systemctl -q is-active ufw.service 2>/dev/null && grep -qsi '^ENABLED=yes' /etc/ufw/ufw.conf && echo "running ufw"
for p in chrony ntpsec openntpd; do
  [ "$(dpkg-query -W -f '${db:Status-Status}' $p 2>/dev/null)" = installed ] && echo "package $p"; done
echo end
"""
)


@dataclass(frozen=True)
class Login:
    """Who we are on a host, and whether anything can be done there at all."""

    uid: int
    has_sudo: bool
    os_id: str
    os_version: str
    init: str  # the name of process 1
    login: str
    groups: frozenset[str]  # the login's
    sudo_complaint: str | None  # why sudo, asked without a password, does nothing; None when it does


@dataclass(frozen=True)
class HostFacts(Login):
    """A host as it is before a deploy. `container` is systemd's name for the kind ("systemd-nspawn") or None."""

    codename: str
    arch: str
    kernel: str
    container: str | None
    ssh_ports: frozenset[int]  # where sshd took this connection, and where its configuration says it listens
    deployed: bool  # an earlier deploy came to its end
    free_mib: int | None  # the least of /, /var
    memory_mib: int
    running: frozenset[str]  # of the services that would fight with ours
    time_daemons: frozenset[str]  # time synchronisation packages the host already has
    driver_report: str = (
        ""  # what `labctl.driver.report` reads, of a host with a card of NVIDIA's; "" of any other
    )


def parse_login(output: str) -> Login:
    """Read what LOGIN_SCRIPT printed. Raises Failed when the output ends early."""
    said, _ = _said(output)
    return Login(**_login(dict(said)))


def parse(output: str) -> HostFacts:
    """Read what SCRIPT printed. Raises Failed when the output ends early."""
    said, driver_report = _said(output)
    one = dict(said)
    free = [int(word) for word in one.get("free", "").split()[:2]]
    return HostFacts(
        **_login(one),
        codename=one.get("codename", ""),
        arch=one.get("arch", ""),
        kernel=one.get("kernel", ""),
        container=one["container"] if one.get("container") not in (None, "", "none") else None,
        ssh_ports=frozenset(int(word) for word in one.get("ssh-ports", "").split() if word.isdigit()),
        deployed=one.get("deployed") == "yes",
        free_mib=min(free) if free else None,
        memory_mib=int(one.get("memory") or 0),
        running=frozenset(value for key, value in said if key == "running"),
        time_daemons=frozenset(value for key, value in said if key == "package"),
        driver_report=driver_report,
    )


def _said(output: str) -> tuple[list[tuple[str, str]], str]:
    """Key and value of each line up to the end, and what comes after it."""
    said, end, rest = output.partition("\nend\n")
    if not end and not output.endswith("\nend"):
        raise Failed(
            "the host did not say what it is",
            found=repr(output[-200:]),
            expected="a POSIX shell on Linux",
            hint="log in by hand and run `sh -c 'cat /etc/os-release'`: does it answer?",
        )
    parts = (line.partition(" ") for line in said.splitlines())
    return [(key, value.strip()) for key, _, value in parts], rest


def _login(one: Mapping[str, str]) -> dict[str, Any]:
    os_id, _, os_version = one.get("os", "unknown unknown").partition(" ")
    return {
        "uid": int(one.get("uid") or -1),
        "has_sudo": one.get("sudo") == "yes",
        "os_id": os_id,
        "os_version": os_version,
        "init": one.get("init", ""),
        "login": one.get("login", ""),
        "groups": frozenset(one.get("groups", "").split()),
        "sudo_complaint": one.get("sudo-says") or None,
    }


def refuse_unsupported(host: str, facts: Login) -> None:
    """Raise Failed when the roles can do nothing with this system, or the login can never be root."""
    if (facts.os_id, facts.os_version) not in SUPPORTED:
        supported = ", ".join(f"{name.capitalize()} {version}" for name, version in SUPPORTED)
        raise Failed(
            f"{facts.os_id} {facts.os_version} is not supported",
            where=host,
            expected=supported,
            hint="install one of these on the machine; nothing was changed",
        )
    if facts.init != "systemd":
        raise Failed(
            "the host does not run systemd",
            where=host,
            found=f"{facts.init or 'nothing'} as process 1",
            expected="systemd",
            hint="deploy to a machine or a system container, not to an application container",
        )
    if facts.uid != 0 and not facts.has_sudo:
        raise Failed(
            "sudo is not installed and the login is not root",
            where=host,
            found=f"uid {facts.uid} without sudo",
            expected="root, or a user who may use sudo",
            hint=f"on {host} as root: apt-get install sudo && adduser YOUR_USER sudo — or set ssh_user to root",
        )


def refuse_unfit(host: str, facts: HostFacts) -> None:
    """Raise Failed when nothing can be deployed on this host; called before anything is changed."""
    refuse_unsupported(host, facts)
    least_mib = _LEAST_FREE_DEPLOYED_MIB if facts.deployed else _LEAST_FREE_MIB
    if facts.free_mib is not None and facts.free_mib < least_mib:
        raise Failed(
            "the disk is too full",
            where=host,
            found=f"{facts.free_mib} MiB free on / or /var",
            expected=f"at least {least_mib} MiB",
            hint="free some room first: `sudo apt-get clean`, `sudo journalctl --vacuum-size=100M`, `df -h`",
        )


def refuse_powerless(host: str, facts: Login) -> None:
    """Raise Failed when sudo does nothing for the login without a password; for when there is none to give."""
    if facts.sudo_complaint is None:
        return
    if "sudo" in facts.groups:
        raise Failed(
            "sudo wants a password and there is nobody to ask",
            where=host,
            found=facts.sudo_complaint,
            expected=f"{facts.login} to use sudo",
            hint='run in a terminal, or set _sudo_password = Secret.env("SUDO_PASSWORD") for this host',
        )
    raise Failed(
        "the login may not use sudo",
        where=host,
        found=f"{facts.login}: {facts.sudo_complaint}",
        expected="a user in the group sudo, or root",
        hint=f"on {host} as root: adduser {facts.login} sudo — or set ssh_user to a user who may",
    )
