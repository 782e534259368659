"""Is one driver there: loaded, installed and for the kernel that boots next, on its branch, and nothing beside it?"""

from __future__ import annotations

import re

from labctl.doctor.cards import DRIVER_DOWN, NOT_BUILT, REFUSED
from labctl.doctor.explanation import Explanation, explained
from labctl.driver.decision import Decision
from labctl.driver.host import DriverHost, is_driver_package
from labctl.driver.packages import of_any_branch
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from labctl.errors import Failed
from roles.nvidia_driver.decided import decided, not_for_us
from roles.nvidia_driver.module import module_state
from roles.nvidia_driver.settings import NvidiaDriverSettings


@explained(
    *DRIVER_DOWN,
    Explanation(
        "The driver was updated since it was loaded, so programs and kernel speak of two versions.",
        "`labctl deploy` reboots into the new one; or `sudo reboot` on the host.",
    ),
)
def test_loaded_module(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """the driver that is loaded is the one that is installed"""
    kernel = _decided(settings, facts)[0].next_boot.release
    installed, loaded = _modules(host, kernel)
    assert loaded, f"no NVIDIA driver is loaded, {installed or 'none'} is installed: reboot the host"
    assert loaded == installed, f"{loaded} is loaded, {installed or 'none'} is installed: reboot the host"


@explained(
    REFUSED,
    *NOT_BUILT,
    Explanation(
        "The driver that is installed is of another branch or flavour than the one decided for these cards.",
        "`labctl preflight` shows which and why; `labctl deploy --only nvidia_driver` installs it.",
    ),
)
def test_next_boot(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """the kernel that boots next has the driver's module, of the right branch and flavour"""
    about, decision = _decided(settings, facts)
    installed, _ = _modules(host, about.next_boot.release)
    wanted = f"{decision.branch} {decision.flavour}"
    branch, _, flavour = installed.partition(" ")
    assert f"{branch.partition('.')[0]} {flavour}" == wanted, (
        f"{about.next_boot.release} has {installed or 'no module'}, not {wanted}"
    )


@explained(
    REFUSED,
    Explanation(
        "The driver's libraries are not installed.",
        "`labctl deploy --only nvidia_driver` installs them.",
        says="neither",
    ),
    Explanation(
        "The driver's libraries and its kernel module are of two versions, as after half an update.",
        "`labctl deploy --only nvidia_driver` brings both to one.",
    ),
)
def test_libraries(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """the driver's libraries are of the version of its module"""
    about, _ = _decided(settings, facts)
    version = _modules(host, about.next_boot.release)[0].partition(" ")[0]
    packages = output_of(
        host,
        "dpkg-query -W -f '${db:Status-Status} ${Package} ${Version}\\n' libcuda1 'libnvidia-compute*' || true",
    )
    found = {
        line.split()[1]: line.split()[2].rpartition(":")[2].partition("-")[0]
        for line in packages.splitlines()
        if line.startswith("installed ")
    }
    assert found, "neither libcuda1 nor libnvidia-compute is installed"
    other = [f"{name} {each}" for name, each in found.items() if each != version]
    assert not other, f"the module is {version or 'not there'}, and there is {', '.join(other)}"


@explained(
    REFUSED,
    Explanation(
        "The kernel's own driver, nouveau, has taken the card, and two drivers cannot hold it.",
        "`labctl deploy --only nvidia_driver` keeps it off, then `sudo reboot` on the host.",
        says="is loaded",
    ),
    Explanation(
        "The file that keeps the kernel's own driver, nouveau, off is gone: it could take the card at "
        "the next boot.",
        "`labctl deploy --only nvidia_driver` writes it anew.",
    ),
)
def test_no_nouveau(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """nouveau is neither loaded nor let in at the next boot"""
    _decided(settings, facts)
    if not facts.container:
        modules = output_of(host, "cat /proc/modules")
        found = re.findall(r"^(nouveau|nova_core) ", modules, re.MULTILINE)
        assert not found, f"{found[0]} is loaded"
    config = output_of(host, "modprobe --showconfig")
    assert re.search(r"^blacklist nouveau$", config, re.MULTILINE), "modprobe would load nouveau"


@explained(
    REFUSED,
    Explanation(
        "What keeps the driver on its branch is gone or was overridden, and an upgrade may bring one "
        "that these cards or services cannot use.",
        "`labctl deploy --only nvidia_driver` pins it again; `apt-cache policy` of the package shows "
        "what overrides it.",
    ),
)
def test_branch(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """an upgrade keeps the driver on its branch"""
    _, decision = _decided(settings, facts)
    names = [
        name
        for name in decision.packages
        if is_driver_package(name)
        and not name.startswith("linux-")
        and name not in of_any_branch(decision.source)
    ]
    policy = output_of(host, f"apt-cache policy {' '.join(['%s'] * len(names))}", *names)
    for name, installed, candidate in re.findall(
        r"^(\S+):\n  Installed: (\S+)\n  Candidate: (\S+)", policy, re.MULTILINE
    ):
        for state, version in (("installed", installed), ("what an upgrade would bring", candidate)):
            assert version.rpartition(":")[2].startswith(f"{decision.branch}."), (
                f"{name}: {state} is {version}, not of {decision.branch}"
            )


@explained(
    REFUSED,
    Explanation(
        "The list of modules that boot loads was changed: after a reboot, containers may find no card.",
        "`labctl deploy --only nvidia_driver` writes it anew.",
    ),
)
def test_modules_at_boot(host: Host, settings: NvidiaDriverSettings, facts: HostFacts) -> None:
    """boot loads the driver and what CUDA needs of it"""
    _decided(settings, facts)
    config = output_of(host, "systemd-analyze cat-config modules-load.d").splitlines()
    missing = [name for name in ("nvidia", "nvidia_uvm") if name not in config]
    assert not missing, f"not loaded at boot: {', '.join(missing)}"


def _decided(settings: NvidiaDriverSettings, facts: HostFacts) -> tuple[DriverHost, Decision]:
    reason = not_for_us(settings, facts)
    if reason:
        not_run_here(reason)
    try:
        found = decided(settings, facts)
    except Failed as refused:
        raise AssertionError(str(refused)) from refused
    assert found
    return found


def _modules(host: Host, kernel: str) -> tuple[str, str]:
    """Installed and loaded, as `550.163.01 proprietary`; "" for none."""
    said = {
        line.split(" ", 1)[0]: line.partition(" ")[2].strip()
        for line in output_of(host, "sh -c %s", module_state(kernel)).splitlines()
        if line
    }
    return said.get("installed", ""), said.get("loaded", "")
