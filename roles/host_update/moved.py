"""Kernel, headers and driver at what apt offers: all of them, or none."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from labctl.driver import report
from labctl.driver.host import DriverHost
from labctl.driver.survey import NVIDIA_MODULE, SCRIPT
from labctl.errors import Failed
from labctl.hoststate.host_unit import APT_GET, DPKG_CONFIGURE, UNIT, as_host_unit
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes
from roles.host_update import archives
from roles.host_update.archives import Move
from roles.host_update.plan import Plan, plan
from roles.host_update.trial import trial

_ARCHIVES, SURVEY = "what the archives offer", "driver survey"
NAME = "kernel and driver"
# Since 2.9 apt moves the other packages of a source along with one of them: the metapackages with the kernel, which
# then can no longer be taken out again.
_EXACTLY = f"{APT_GET} --no-install-recommends -o APT::Get::Upgrade-By-Source-Package=false"


def surveyed(seen: Observations) -> DriverHost:
    """What the host is now."""
    return report.parse(seen.texts[SURVEY])


@dataclass(frozen=True)
class KernelAndDriver:
    """Everything that updates at night leave alone is what apt would have it be. driver: the driver moves, too.

    To look at it is to fetch the package lists, as apt does every day by itself.
    """

    driver: bool
    name: str = NAME

    def probes(self) -> Probes:
        """The archives' answer, and what the host has."""
        return Probes(snippets=((_ARCHIVES, archives.asking(driver=self.driver)), (SURVEY, SCRIPT)))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """What would move. Raises Failed where it must not."""
        if pending.packages:
            return Difference("known once the package database is in order", Certainty.POSSIBLE)
        offer = archives.parse(seen.texts[_ARCHIVES])
        if offer.busy:
            return Difference("known once whoever installs packages has ended", Certainty.POSSIBLE)
        host = surveyed(seen)
        made = plan(offer, host)
        return Difference(made.words(host.next_boot.release)) if made else None

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """Try the build, fetch everything, then let apt move it; what cannot be finished is taken back."""
        host = surveyed(seen)
        made = plan(archives.parse(seen.texts[_ARCHIVES]), host)
        if made is None:
            raise Failed(
                "somebody else installs packages on this host just now",
                hint="`ps -C apt,apt-get,dpkg,unattended-upgr -f` shows who; run again when that has ended",
            )
        return Action(as_host_unit(_script(made, had_module=bool(host.next_boot.nvidia))))

    def digest(self) -> str:
        """Always the same: what the archives have is nobody's wish."""
        return digest_of([self.name])


def _script(made: Plan, *, had_module: bool) -> str:
    lines = [
        "set -eu",
        'began=$(mktemp); trap \'rm -rf "$began" "${trial:-}"\' EXIT',
        # Without --mark-auto what is new counts as asked for by hand, and old kernels would be kept for ever.
        f'move() {{ {_EXACTLY} --no-remove --mark-auto "$@"; }}',
        f"move --download-only install {_at(made.moves)}",
        trial(made),
    ]
    if made.first:
        lines += [
            _TAKE_BACK.replace("@new@", " ".join(each.name for each in made.first if _new_kernel(each)))
            .replace("@old@", " ".join(f"{each.name}={each.old}" for each in made.first if each.old))
            .replace("@all@", " ".join(each.name for each in made.first)),
            f'move install {_at(made.first)} || take_back "apt could not install the new kernel and driver:"',
        ]
        if had_module:
            lines.append(_HAS_MODULE.replace("@kernels@", " ".join(map(shlex.quote, made.kernels))))
    if made.then:
        lines.append(f"move --only-upgrade install {_at(made.then)}")
    return "\n".join(lines) + "\n"


def _new_kernel(move: Move) -> bool:
    return move.old is None and move.name.startswith("linux-")


def _at(moves: Iterable[Move]) -> str:
    return " ".join(shlex.quote(f"{each.name}={each.new}") for each in moves)


# What is new has a name of its own, and what has moved so far does not need it: the kernel that boots stays the one
# that was there. The driver goes back to its old version where an archive still has it, and is finished where not.
_TAKE_BACK = f"""take_back() {{
  new="@new@" old="@old@"
  # The trial has built the modules: here it is a package's script, or the disk, and dpkg says which.
  why="labctl: $1 $(grep -m1 -E '^(dpkg: error|E: )' /run/{UNIT}.log | cut -c1-150 || true)"
  {DPKG_CONFIGURE} || true
  [ -z "$old" ] || {_EXACTLY} --no-remove --allow-downgrades install $old || true
  [ -z "$new" ] || new=$(dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' $new 2>/dev/null |
    awk '$1 != "not-installed" {{print $2}}')
  if [ -n "$new" ] && ! apt-get -s purge $new | awk '/^(Remv|Purg|Inst) / {{print $2}}' | grep -qvxF "$new"; then
    {APT_GET} purge $new || true
  fi
  {DPKG_CONFIGURE} || true
  {APT_GET} --fix-broken install || true
  broken=$(dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' @all@ 2>/dev/null |
    awk '$1 !~ /^(installed|config-files|not-installed)$/ {{print $2}}')
  [ -z "$broken" ] || {APT_GET} purge $broken || true
  echo "$why"
  exit 1
}}
"""
# A kernel without the driver's module is none to boot.
_HAS_MODULE = f"""{NVIDIA_MODULE}
for kernel in @kernels@; do
  nvidia_module "$kernel" >/dev/null || dkms autoinstall -k "$kernel" || true
  nvidia_module "$kernel" >/dev/null || take_back "no module of the driver came about for $kernel."
done
"""
