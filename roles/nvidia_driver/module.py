"""The driver's kernel module: built for the kernel that boots next, and loaded."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from labctl.driver.host import is_driver_package
from labctl.driver.survey import NVIDIA_MODULE
from labctl.hoststate.condition import Condition
from labctl.hoststate.host_unit import as_host_unit
from labctl.hoststate.observation import Observations
from labctl.hoststate.reboot import REBOOT
from labctl.hoststate.resource import Action, Certainty, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes
from roles.nvidia_driver.packages import FIRST_ERROR

_STATE = "nvidia module"


# Of the kernel in $k.
MODULE_STATE = rf"""{NVIDIA_MODULE}
flavour() {{ case $1 in *GPL*) echo open;; ?*) echo proprietary;; esac; }}
module=$(nvidia_module "$k") || true
echo installed ${{module%%|*}} $(flavour "${{module#*|}}")
line=$(grep -s '^NVRM version:' /proc/driver/nvidia/version)
case $line in *Open\ Kernel*) kind=open;; ?*) kind=proprietary;; *) kind=;; esac
echo loaded $(printf %s "$line" | grep -oE '[0-9]{{3}}\.[0-9][0-9.]*' | head -n 1) $kind
"""


def module_state(kernel: str) -> str:
    """A script: `installed VERSION FLAVOUR`, of the module for `kernel`, and `loaded VERSION FLAVOUR`; "" of none."""
    return f"k={shlex.quote(kernel)}\n{MODULE_STATE}"


class ForKernel(Condition):
    """A condition of the kernel that boots next: another kernel is nothing else that is wanted."""

    def digest(self) -> str:
        """A hash of what is wanted."""
        return digest_of([self.name, self.wanted])


class Initramfs(ForKernel):
    """A condition of what the next boot unpacks first, which packages may make, too.

    It does not hold when one of the files in `reads` is about to be written. A `probe` that prints nothing but `none`
    says that there is none.
    """

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Only possible as long as packages are to come: they may bring an initramfs about where there is none yet."""
        if pending.packages.intersection(self.settled_by):
            return Difference("made anew unless the packages do so", Certainty.POSSIBLE)
        if seen.texts[self._key].strip() == "none":
            return None
        if pending.paths.intersection(self.reads):
            return Difference(self.problem or "made of other files")
        return super().compare(seen, pending)


class OnceLoaded(Condition):
    """A condition that only a loaded driver can answer for."""

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Only possible as long as a driver, or another one, is still to come."""
        if "loaded module" in pending.other or any(map(is_driver_package, pending.packages)):
            return Difference("asked of the driver once it is loaded", Certainty.POSSIBLE)
        return super().compare(seen, pending)


def module_built(branch: int, flavour: str, kernel: str, packages: tuple[str, ...]) -> ForKernel:
    """The kernel that boots next has a module of this branch and flavour."""
    build = f"""set -eu
kernel={shlex.quote(kernel)}
began=$(mktemp); trap 'rm -f "$began"' EXIT
{NVIDIA_MODULE}{FIRST_ERROR}
# What somebody removed from dkms is still there as a package.
dpkg -L {shlex.join(packages)} 2>/dev/null | sed -n 's,^\\(/usr/src/[^/]*\\)/dkms.conf$,\\1,p' | while read -r each; do
  dkms add "$each" >/dev/null 2>&1 || true
done
dkms autoinstall -k "$kernel" || true  # another vendor's module may be the one that does not build
nvidia_module "$kernel" >/dev/null || {{
  why_not_built || echo "labctl: dkms brought no module about for $kernel: is linux-headers-$kernel installed?"
  exit 1; }}
"""
    return ForKernel(
        "module for the kernel that boots next",
        probe=f"({module_state(kernel)}) | sed -n 's/^installed \\([0-9]*\\)[^ ]*/\\1/p'",
        wanted=f"{branch} {flavour}",
        apply=as_host_unit(build),
        settled_by=packages,
    )


@dataclass(frozen=True)
class LoadedModule:
    """The module that is loaded is the one that is installed; a reboot makes it so."""

    kernel: str
    packages: tuple[str, ...]
    name: str = "loaded module"
    reboots: bool = True

    def probes(self) -> Probes:
        """Both, by the files that the next boot reads and by the kernel's own account."""
        return Probes(snippets=((_STATE, module_state(self.kernel)),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different where they differ; only possible while packages that may bring another are still to come."""
        words = {line.partition(" ")[0]: line.partition(" ")[2] for line in seen.texts[_STATE].splitlines()}
        installed, loaded = words.get("installed", "").strip(), words.get("loaded", "").strip()
        if pending.packages.intersection(self.packages):
            return Difference("another driver is about to be installed", Certainty.POSSIBLE)
        if not installed or installed == loaded:
            return None
        return Difference(f"{loaded or 'none'} is loaded, {installed} is installed")

    def will_change(self, seen: Observations) -> Pending:
        """Its own name."""
        return Pending(other=frozenset({self.name}))

    def action(self, seen: Observations) -> Action:
        """Load it where none is in the way, else reboot."""
        return Action(
            f"""set -eu
k={shlex.quote(self.kernel)}
if [ ! -e /proc/driver/nvidia/version ] && [ "$(uname -r)" = "$k" ] && ! grep -qE '^(nouveau|nova_core) ' /proc/modules
then
  if said=$(modprobe nvidia 2>&1 && modprobe nvidia_uvm 2>&1); then exit 0; fi
  case $said in *"Key was rejected"*|*"Required key"*)
    echo "labctl: the kernel takes no module that is signed with an unknown key (Secure Boot): see labctl preflight"
    exit 1 ;;
  esac
fi
{REBOOT}"""
        )

    def confirm(self) -> Action:
        """Fails where after a reboot they still differ."""
        return Action(
            f"""for i in $(seq 30); do
  state=$({module_state(self.kernel)})
  installed=$(echo "$state" | sed -n 's/^installed *//p'); loaded=$(echo "$state" | sed -n 's/^loaded *//p')
  [ -n "$loaded" ] && [ "$loaded" = "$installed" ] && exit 0
  sleep 2
done
echo "labctl: after the reboot the loaded module is ${{loaded:-none}}, the installed one ${{installed:-none}}" >&2
exit 1
"""
        )

    def digest(self) -> str:
        """Always the same."""
        return digest_of([self.name])
