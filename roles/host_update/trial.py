"""Builds the modules for a kernel that is not installed, beside everything that is.

Installing the new kernel's headers would do: but the hook of dkms builds at that moment, too, in its own tree, with the
driver that is there now, and where that fails the headers stay half-configured. So the packages are only unpacked, in a
folder of their own, which is laid over /usr for one process: its headers, compilers and sources stand where they will
stand later, and nobody else sees them.
"""

from __future__ import annotations

import shlex

from roles.host_update.plan import Plan
from roles.nvidia_driver.packages import FIRST_ERROR

# dkms.conf is a shell script by nature. Debian's names its module nvidia-current, NVIDIA's nvidia.
_BUILD = r"""value() { sed -n "s/^$2=[\"']\\{0,1\\}\\([^\"']*\\)[\"']\\{0,1\\} *\$/\\1/p" "$1" | head -n 1; }
mount -t overlay labctl-trial -o "lowerdir=$trial/root/usr:/usr" /usr || {
  echo "labctl: no trial build: the host's kernel lays no folder over another (overlayfs)"; exit 1; }
because() { why_not_built "$trial/tree" || echo "labctl: the kernel module does not build for $kernel: see above"; }
build() {
  tried="$tried $1"
  for kernel in $kernels; do
    dkms build -m "$1" -v "$2" -k "$kernel" --dkmstree "$trial/tree" --sourcetree /usr/src || {
      because | sed 's/^labctl: /labctl: not moved: /'; exit 1; }
  done
}
tried=
for conf in "$trial"/root/usr/src/*/dkms.conf; do
  [ -e "$conf" ] || continue
  build "$(value "$conf" PACKAGE_NAME)" "$(value "$conf" PACKAGE_VERSION)"
done
# Those that stay as they are must build as well: one that does not leaves the new kernel half-configured.
for source in /var/lib/dkms/*/*/source; do
  conf=$source/dkms.conf
  name=${source%/*/source}; name=${name##*/}
  version=${source%/source}; version=${version##*/}
  [ -e "$conf" ] && [ -e "/usr/src/$name-$version/dkms.conf" ] || continue
  case " $tried " in *" $name "*) continue;; esac
  case $(value "$conf" AUTOINSTALL) in [yY]*|1) build "$name" "$version";; esac
done
"""


def trial(plan: Plan) -> str:
    """A part of a script (sh): fails, with the compiler's first error, where a module does not build."""
    if not plan.trial:
        return ""
    wanted = " ".join(shlex.quote(f"{each.name}={each.new}") for each in plan.trial)
    kernels = shlex.quote(" ".join(plan.kernels))
    script = f"export LC_ALL=C.UTF-8\n{FIRST_ERROR}{_BUILD}"
    return f"""rm -rf /var/tmp/labctl-trial.*  # what a power cut left; nobody else is at it now
trial=$(mktemp -d /var/tmp/labctl-trial.XXXXXX)
mkdir -p "$trial/root/usr" "$trial/tree"
( cd "$trial" && apt-get -q download {wanted} )
for deb in "$trial"/*.deb; do
  # Of the driver's packages only those with sources: its libraries are a GiB that nothing is built with.
  case ${{deb##*/}} in *nvidia*|*cuda*) dpkg-deb -c "$deb" | grep -q ' \\./usr/src/' || continue;; esac
  dpkg-deb -x "$deb" "$trial/root"
done
for folder in lib lib64 bin sbin; do
  [ -d "$trial/root/$folder" ] || continue
  mkdir -p "$trial/root/usr/$folder"
  cp -al "$trial/root/$folder/." "$trial/root/usr/$folder/"
done
trial=$trial began=$began kernels={kernels} unshare --mount sh -eu -c {shlex.quote(script)}
rm -rf "$trial"
"""
