"""The kernel and the driver that are installed are those that run."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from labctl.driver.host import DriverHost
from labctl.driver.survey import SCRIPT
from labctl.hoststate.observation import Observations
from labctl.hoststate.reboot import REBOOT
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes
from roles.host_update.moved import NAME, SURVEY, surveyed
from roles.nvidia_driver.module import MODULE_STATE

# On the disk: who comes back after the reboot has to know what was to come.
_EXPECTED = "/var/lib/labctl/expected-boot"


@dataclass(frozen=True)
class Booted:
    """A reboot that only a person may ask for."""

    name: str = "reboot"

    def probes(self) -> Probes:
        """What runs, and what boots next."""
        return Probes(snippets=((SURVEY, SCRIPT),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different where another kernel boots next, or another driver is loaded than the one that is installed."""
        if NAME in pending.other:
            return Difference("into the new kernel and driver", Certainty.POSSIBLE)
        due = "; ".join(_due(surveyed(seen)))
        return Difference(due) if due else None

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """Says what to type."""
        due = shlex.quote("; ".join(_due(surveyed(seen))))
        return Action(f'echo "labctl: a reboot is due: "{due} >&2\nexit 1\n')

    def digest(self) -> str:
        """Always the same."""
        return digest_of([self.name])


@dataclass(frozen=True)
class Rebooted(Booted):
    """A reboot that this run asks for, waits for, and looks behind."""

    reboots: bool = True

    def action(self, seen: Observations) -> Action:
        """Write down what must run afterwards, then reboot."""
        host = surveyed(seen)
        driver = f"{host.next_boot.nvidia} {host.next_boot.flavour}" if host.loaded else ""
        kernel = "" if host.container else host.next_boot.release
        return Action(
            f"""set -eu
install -d -m 755 /var/lib/labctl
printf '%s\\n' {shlex.quote(host.next_boot.release)} {shlex.quote(kernel)} {shlex.quote(driver)} >{_EXPECTED}
sync {_EXPECTED}
{REBOOT}"""
        )

    def confirm(self) -> Action:
        """Fails where another kernel runs, or another driver is loaded, than was to come."""
        return Action(
            f"""set -eu
k=$(sed -n 1p {_EXPECTED}); kernel=$(sed -n 2p {_EXPECTED}); driver=$(sed -n 3p {_EXPECTED})
running=$(uname -r)
[ -z "$kernel" ] || [ "$kernel" = "$running" ] || {{
  echo "labctl: the host booted $running and not $kernel" >&2; exit 1; }}
[ -n "$driver" ] || exit 0
for i in $(seq 30); do
  loaded=$({{ {MODULE_STATE} }} | sed -n 's/^loaded *//p')
  [ "$loaded" != "$driver" ] || exit 0
  sleep 2
done
echo "labctl: after the reboot the loaded module is ${{loaded:-none}}, the installed one $driver" >&2
exit 1
"""
        )


def _due(host: DriverHost) -> list[str]:
    """Why the host must be rebooted. A container's kernel is not its own to boot."""
    found = []
    runs, boots = host.running.release, host.next_boot
    if not host.container and runs != boots.release:
        found.append(f"{runs} runs, {boots.release} boots next")
    loaded = f"{host.loaded} {host.loaded_flavour}"
    if host.loaded and boots.nvidia and loaded != f"{boots.nvidia} {boots.flavour}":
        found.append(f"driver {loaded} is loaded, {boots.nvidia} {boots.flavour} is installed")
    return found
