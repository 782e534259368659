"""The driver's packages, of which some build its kernel module here, and may fail to."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from labctl.driver.host import is_driver_package
from labctl.hoststate.host_unit import APT_GET, DPKG_CONFIGURE, as_host_unit
from labctl.hoststate.observation import Observations, PackageSeen
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

# The compiler's, the linker's and dkms's own, in that order: the first that is there says what broke.
FIRST_ERROR = """why_not_built() {
  logs=$(find /var/lib/dkms "$@" -name make.log -newer "$began" 2>/dev/null)
  [ -n "$logs" ] || return 1
  why=$({ grep -hm1 -E '(: (fatal )?error: |^ERROR: modpost: )' $logs || grep -hm1 -E '^(make|ld|Error)' $logs; } |
    head -n 1 | sed 's,^/[^ ]*/,,' | cut -c1-200)
  [ -n "$why" ] || return 1
  echo "labctl: the kernel module does not build for $kernel: $why"
}
"""


@dataclass(frozen=True)
class DriverPackages:
    """Packages of one branch of the driver, and none of another driver.

    builds: installing them builds a module for `kernel` here. headers, absent: what this host has to have for it and
    must not have beside it; they follow from what it is, so that the digest leaves them out. modules: the packages with
    the kernel module, where these here are the rest of the driver. of_any_branch: names whose version does not matter.
    """

    name: str
    present: tuple[str, ...]
    branch: int
    kernel: str
    builds: bool = False
    headers: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    of_any_branch: tuple[str, ...] = ()

    def probes(self) -> Probes:
        """dpkg's status of each name."""
        return Probes(packages=frozenset(self.headers + self.present + self.absent + self.modules))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Names what is missing, of another branch, or too much."""
        reasons = []
        if missing := _missing(seen, (*self.headers, *self.present)):
            reasons.append("not installed: " + ", ".join(missing))
        if other := self._other(seen):
            reasons.append(f"not of {self.branch}: " + ", ".join(other))
        if extra := self._extra(seen):
            reasons.append("to be removed: " + ", ".join(extra))
        return Difference("; ".join(reasons)) if reasons else None

    def will_change(self, seen: Observations) -> Pending:
        """The packages that come, change or go."""
        return Pending(packages=frozenset((*self.headers, *self.present, *self._extra(seen))))

    def action(self, seen: Observations) -> Action:
        """Install what is missing; a module that does not build is taken out again, and what was there before stays.

        Where a module is there and another one is to come, be it a newer one of the branch, that is tried first, beside
        it. What else is missing of the driver comes in the version of the module that is there.
        """
        extra = self._extra(seen)
        coming = (*_missing(seen, self.present), *self._other(seen))
        lines = ["set -eu", f"kernel={shlex.quote(self.kernel)}"]
        lines.append('began=$(mktemp); trap \'rm -rf "$began" "${trial:-}"\' EXIT')
        lines.append(_INSTALL)
        if missing := _missing(seen, self.headers):
            lines.append(f"install_or_update {shlex.join(missing)}")
        if not (coming or extra):
            return Action(as_host_unit("\n".join(lines) + "\n"))
        modules = self.modules or self.present
        there = [name for name in modules if _installed(seen.packages[name]) and self._of_branch(seen, name)]
        lines.append(_NAMES.replace("@module@", there[0] if there else "none"))
        lines += [f"name {shlex.quote(each)}" for each in coming]
        lines += [f'names="$names {shlex.quote(f"{name}-")}"' for name in extra]
        lines.append(FIRST_ERROR)
        if (self.builds or self.modules) and any(_known(seen, name) for name in (*modules, *self.absent)):
            patterns = " ".join(f"-e {shlex.quote(f'Inst {name} ')}" for name in modules)
            lines.append(_TRIAL.replace("@packages@", shlex.join(modules)).replace("@patterns@", patterns))
        if not self.builds:
            lines.append("install_or_update $names")
            return Action(as_host_unit("\n".join(lines) + "\n"))
        lines.append(_BUILD.replace("@purge@", shlex.join(self.present)))
        return Action(as_host_unit("\n".join(lines) + "\n"))

    def digest(self) -> str:
        """A hash of the names and the branch."""
        return digest_of([str(self.branch), *sorted(self.present)])

    def _extra(self, seen: Observations) -> tuple[str, ...]:
        return tuple(name for name in self.absent if _known(seen, name))

    def _other(self, seen: Observations) -> tuple[str, ...]:
        """Installed ones of another branch."""
        return tuple(
            name
            for name in self.present
            if _installed(seen.packages[name]) and not self._of_branch(seen, name)
        )

    def _of_branch(self, seen: Observations, name: str) -> bool:
        """A precompiled module carries the kernel's version, and so does a pin its own: their branch is in the name."""
        package = seen.packages[name]
        if not is_driver_package(name) or name.startswith(("linux-", "nvidia-driver-pinning-")):
            return True
        if name in self.of_any_branch:
            return package is not None
        return package is not None and package.version.rpartition(":")[2].startswith(f"{self.branch}.")


_INSTALL = f"""install() {{ {APT_GET} --no-install-recommends --allow-downgrades install "$@"; }}
install_or_update() {{ install "$@" || {{ {APT_GET} update; install "$@"; }}; }}
"""
# What a driver consists of has one version, but for packages with a row of versions of their own.
_NAMES = """names=
version=$(dpkg-query -W -f '${Version}' @module@ 2>/dev/null || true)
name() {
  # It ends with 0 for another version, too, and prints nothing.
  if [ -n "$version" ] && apt-cache show "$1=$version" 2>/dev/null | grep -q .; then names="$names $1=$version"
  else names="$names $1"; fi
}"""
# In a folder of its own: the module that boots now is not touched before the new one is known to build.
_TRIAL = f"""said=$(install -s $names 2>&1) || {{ {APT_GET} update; said=$(install -s $names 2>&1) || true; }}
if printf '%s\\n' "$said" | grep -qF @patterns@; then
rm -rf /var/tmp/labctl-trial.*  # of a run that the power was cut on
trial=$(mktemp -d /var/tmp/labctl-trial.XXXXXX)
install_or_update dkms
( cd "$trial" && apt-get -q download @packages@ || {{ {APT_GET} update; apt-get -q download @packages@; }} )
for deb in "$trial"/*.deb; do dpkg-deb -x "$deb" "$trial/root"; done
for source in "$trial"/root/usr/src/*/; do
  [ -e "$source/dkms.conf" ] || continue
  name=$(sed -n 's/^PACKAGE_NAME="\\{{0,1\\}}\\([^"]*\\)"\\{{0,1\\}}$/\\1/p' "$source/dkms.conf")
  version=$(sed -n 's/^PACKAGE_VERSION="\\{{0,1\\}}\\([^"]*\\)"\\{{0,1\\}}$/\\1/p' "$source/dkms.conf")
  mkdir -p "$trial/tree"
  dkms build -m "$name" -v "$version" -k "$kernel" --dkmstree "$trial/tree" --sourcetree "$trial/root/usr/src" || {{
    why_not_built "$trial/tree" || echo "labctl: the kernel module does not build for $kernel: see above"
    exit 1; }}
done
fi
"""
# Half-configured packages would stop everything that is installed later, a kernel with its security updates included.
# What is whole is left alone: where nothing could be fetched, the driver that was there still is.
_BUILD = f"""heal() {{
  broken=$(dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' @purge@ 2>/dev/null |
    awk '$1 !~ /^(installed|config-files|not-installed)$/ {{print $2}}')
  [ -z "$broken" ] || {APT_GET} purge $broken || true
  {DPKG_CONFIGURE} || true
  {APT_GET} --fix-broken install || true
}}
if ! install $names; then
  if why=$(why_not_built); then heal; echo "$why"; exit 1; fi
  {APT_GET} update
  install $names || {{ why=$(why_not_built) || why="labctl: the driver's packages cannot be installed"
    heal; echo "$why"; exit 1; }}
fi
"""


def _missing(seen: Observations, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if not _installed(seen.packages[name]))


def _installed(package: PackageSeen | None) -> bool:
    return package is not None and package.installed


def _known(seen: Observations, name: str) -> bool:
    package = seen.packages[name]
    return package is not None and package.status != "config-files"
