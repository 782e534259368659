"""Packages in one batch, installed so that neither a dead client nor a power cut leaves dpkg for a human to repair."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from labctl.hoststate.host_unit import APT_GET, BUSY, DPKG_CONFIGURE, as_host_unit
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

_HEALTH_KEY = "dpkg-health"
_INTERRUPTED, _BUSY = "/interrupted", "/busy"  # no package can be called that
# Whoever installs packages holds this lock; the kernel lists locks by the inode of their file (proc_locks(5)).
_LOCKED = 'grep -q ":$(stat -c %i /var/lib/dpkg/lock-frontend) " /proc/locks'
IN_USE = f"{{ {BUSY} || {_LOCKED}; }}"
# Not `dpkg --audit`: it also names packages that were built without checksums, for ever.
_UNFINISHED = (
    "dpkg-query -W -f '${db:Status-Status} ${db:Status-Eflag} ${Package}\\n' | "
    """awk '$1 !~ /^(installed|config-files|not-installed)$/ || $2 != "ok" {print $3}'"""
)
_HEALTH = (
    f"{_UNFINISHED} | head -5; "
    f"ls /var/lib/dpkg/updates | grep -q . && echo {_INTERRUPTED}; "  # dpkg's journal: it was killed in mid-run
    # A client that died has left its apt behind, or unattended-upgrades is at work: what is seen will not be true long.
    f"if {IN_USE}; then echo {_BUSY}; fi"
)

# Killed while its files were being unpacked: apt's --fix-broken does not see it, and dpkg refuses to configure it.
_HALF_UNPACKED = (
    "dpkg-query -W -f '${db:Status-Status} ${db:Status-Eflag} ${binary:Package}\\n' | "
    """awk '$1 == "half-installed" || $2 == "reinstreq" {print $3}'"""
)
# Each try may build a kernel module, which takes minutes: what apt finds in order is not tried again.
_REPAIR = f"""set -eu
began=$(mktemp); trap 'rm -f "$began"' EXIT
{DPKG_CONFIGURE} || true
again=$({_HALF_UNPACKED})
reinstall() {{ {APT_GET} --fix-broken --reinstall install $again; }}
[ -z "$again" ] || {{ reinstall || {{ {APT_GET} update; reinstall; }}; {DPKG_CONFIGURE} || true; }}
mend() {{ {APT_GET} --fix-broken install; }}
mend || {APT_GET} check || {{ {APT_GET} update; mend; }} || true
left=$({_UNFINISHED})
[ -z "$left" ] || {{
  why=$(find /var/lib/dkms -name make.log -newer "$began" -exec grep -hE ': (fatal )?error: ' {{}} + 2>/dev/null |
    head -n 1 | sed 's,^/[^ ]*/,,' | cut -c1-200)
  echo "labctl: dpkg cannot finish" $left"${{why:+: $why}}"; exit 1; }}
{APT_GET} check
"""


@dataclass(frozen=True)
class PackageHealth:
    """dpkg has no half-installed package and no interrupted run. First in the order of every deploy."""

    name: str = "package database"

    def probes(self) -> Probes:
        """dpkg's own account of what is broken."""
        return Probes(snippets=((_HEALTH_KEY, _HEALTH),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when dpkg was interrupted, packages are half-configured, or an earlier run's apt is at work."""
        broken = seen.texts[_HEALTH_KEY].split()
        if _BUSY in broken:
            return Difference("packages are being installed at this moment", Certainty.POSSIBLE)
        names = [name for name in broken if name != _INTERRUPTED]
        return (
            Difference("dpkg was interrupted" + (": " + ", ".join(names) if names else ""))
            if broken
            else None
        )

    def will_change(self, seen: Observations) -> Pending:
        """The packages that dpkg named: their configuration will be finished."""
        return Pending(packages=frozenset(seen.texts[_HEALTH_KEY].split()))

    def action(self, seen: Observations) -> Action:
        """Let an earlier run end, finish what dpkg began, then let apt repair dependencies."""
        return Action(as_host_unit(_REPAIR))

    def digest(self) -> str:
        """Always the same: nobody wants a broken dpkg."""
        return digest_of(["package-health"])


@dataclass(frozen=True)
class Packages:
    """Packages that must be installed, and packages that must not be, in one apt transaction."""

    name: str
    present: tuple[str, ...]
    absent: tuple[str, ...] = ()

    def probes(self) -> Probes:
        """dpkg's status of each name."""
        return Probes(packages=frozenset(self.present + self.absent))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names what is missing, half-configured or too much."""
        mended = pending.packages
        missing = [name for name in self._missing(seen) if name not in mended or not _unfinished(seen, name)]
        extra = self._extra(seen)
        reasons = []
        if missing:
            reasons.append("not installed: " + ", ".join(missing))
        if extra:
            reasons.append("to be removed: " + ", ".join(extra))
        return Difference("; ".join(reasons)) if reasons else None

    def will_change(self, seen: Observations) -> Pending:
        """The packages that come or go."""
        return Pending(packages=frozenset(self._missing(seen) + self._extra(seen)))

    def action(self, seen: Observations) -> Action:
        """Install and remove in one apt run; the lists are refreshed when an archive has moved on since."""
        wanted = [shlex.quote(name) for name in self._missing(seen)]
        wanted += [shlex.quote(name) + "-" for name in self._extra(seen)]
        install = f"{APT_GET} --no-install-recommends install {' '.join(wanted)}"
        body = f"set -eu\n{install} || {{ {APT_GET} update; {install}; }}\n"
        return Action(as_host_unit(body))

    def digest(self) -> str:
        """A hash of both lists."""
        return digest_of(["present", *sorted(self.present), "absent", *sorted(self.absent)])

    def _missing(self, seen: Observations) -> list[str]:
        return [
            name for name in self.present if not (package := seen.packages[name]) or not package.installed
        ]

    def _extra(self, seen: Observations) -> list[str]:
        return [name for name in self.absent if (package := seen.packages[name]) and package.installed]


def _unfinished(seen: Observations, name: str) -> bool:
    """On its way in when dpkg was interrupted: what the repair finishes."""
    package = seen.packages[name]
    return package is not None and package.status in (
        "half-installed",
        "unpacked",
        "half-configured",
        "triggers-awaited",
        "triggers-pending",
    )
