"""Why a command on a host failed, in a person's words, where its own are many and do not say what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from labctl.errors import Failed


@dataclass(frozen=True)
class _Cause:
    """pattern: the words of apt, dpkg or the C library, of which a group, where there is one, is what was found.

    beside: what must be in the output as well.
    """

    pattern: str
    message: str
    hint: str
    beside: str = ""


# Only the end of what apt says is kept, and what it tried is not always in it.
_FETCHING = r"(?m)^(Err:\d|Ign:\d|[EW]: Failed to fetch|E: The repository )"
# The first that is found counts: a full disk makes dpkg fail, and a failing dpkg makes apt fail.
_CAUSES = (
    _Cause(
        r"No space left on device|You don't have enough free space in \S+",
        "the disk ran full",
        "free some room on the host (`df -h`, `sudo apt-get clean`), then run again: what was begun is finished",
    ),
    _Cause(
        r"Read-only file system",
        "the disk can only be read",
        "look at the host's disk (`sudo dmesg | tail`): the kernel does this after errors, or it is mounted so",
    ),
    _Cause(
        r"labctl: not moved: the kernel module does not build for (.*)",
        "kernel and driver did not move: a kernel module does not build",
        "nothing was changed; try again when the archives have a newer driver or kernel",
    ),
    _Cause(
        r"labctl: the kernel module does not build for (.*)",
        "the driver's kernel module does not build for the kernel that boots next",
        "what was there before is as it was; choose the other flavour, another source or branch under nvidia_driver "
        "(`labctl preflight` shows what there is), or boot an older kernel",
    ),
    _Cause(
        r"labctl: dpkg cannot finish (.*)",
        "an earlier installation can neither be finished nor repaired",
        "without these packages: `sudo apt-get purge` their names, then run again; /run/labctl-apt.log on the host "
        "says what they did",
    ),
    _Cause(
        r"E: Held packages were changed",
        "apt holds a package that would have to change",
        "see which (`apt-mark showhold`); if it may: `sudo apt-mark unhold` its name, then run again",
    ),
    _Cause(
        r"Error! Bad return status for module build on kernel: (\S+)",
        "a kernel module that was installed before does not build for this kernel",
        "see /var/lib/dkms/*/*/build/make.log on the host; `sudo apt-get purge` the package that brought it",
    ),
    _Cause(
        r"labctl: (after the reboot .*)",
        "the reboot did not load the driver that is installed",
        "on the host: `sudo dmesg | grep -iE 'nvrm|nvidia'` says why, Secure Boot and a card's power cables among it",
    ),
    _Cause(
        r"labctl: (the host booted .*)",
        "the reboot did not bring up the kernel that was to come",
        "on the host: is another one chosen in /etc/default/grub (GRUB_DEFAULT), or at its screen?",
    ),
    _Cause(
        r"labctl: a reboot is due: (.*)",
        "what is installed waits for a reboot, which nvidia_driver.reboot leaves to a person",
        "`sudo reboot` on the host, then run the same again: it looks at what runs",
    ),
    _Cause(
        r"labctl: (apt could not install the new kernel and driver.*|no module of the driver came about for .*)",
        "kernel and driver did not move",
        "the kernel that boots is the one that was there; see /run/labctl-apt.log on the host, then run again",
    ),
    _Cause(
        r"labctl: no trial build: (.*)",
        "whether the driver builds for the new kernel cannot be tried here",
        "nothing was changed; `sudo modprobe overlay` on the host says why, then run again",
    ),
    _Cause(
        r"labctl: no key can be fetched from (.*)",
        "the host does not reach a vendor's package repository",
        "check its network (`ip route`, a proxy, a firewall), then run again",
    ),
    _Cause(
        r"labctl: (the key of .* and not .*)",
        "a repository's key is not the one that is known to be its vendor's",
        "nothing of it was trusted; is there a proxy or a mirror between? if the vendor has a new key, update labctl",
    ),
    _Cause(
        r"(?:Err:\d+|OpenPGP signature verification failed:) (\S+)[^\n]*\n?[^\n]*SHA1 is not considered secure"
        r"|((?:SHA1 is not considered secure|Policy rejected \S*|[Nn]o binding signature)[^\n]*)",
        "a package archive's key is bound by SHA-1, which this system refuses",
        "use the vendor's repository for this very release; never answer this with [trusted=yes]",
    ),
    _Cause(
        r"E: Unable to locate package linux-headers-(\S+)",
        "no headers for the kernel that boots next, neither here nor in apt",
        "`sudo apt-get full-upgrade`, reboot into the newest kernel, then run again",
    ),
    _Cause(
        r"E: Unable to locate package (\S+)|E: Package '(\S+)' has no installation candidate",
        "no archive has a package of this name",
        "is it spelled right (base.packages in the inventory)?",
    ),
    _Cause(
        r"Could not get lock (.*)|(dpkg \w+ lock was locked by .*)",
        "another package manager is at work and has not ended within ten minutes",
        "see which one on the host (`ps -C apt,apt-get,dpkg,unattended-upgr -f`), then run again",
    ),
    _Cause(
        r"(Temporary failure resolving \S+|Could not resolve \S+)",
        "the host finds no address of its package archive",
        "check its name server (/etc/resolv.conf) and its network, then run again",
        _FETCHING,
    ),
    _Cause(
        r"(Network is unreachable|No route to host|[Cc]onnection timed out|[Cc]onnection refused)",
        "the host does not reach its package archive",
        "check its network (`ip route`, a proxy, a firewall), then run again",
        _FETCHING,
    ),
    _Cause(
        r"((?:Could not connect to|Cannot initiate the connection to|Unable to connect to) \S+|Connection failed)",
        "the host does not reach its package archive",
        "check its network (`ip route`, a proxy, a firewall), then run again",
        _FETCHING,
    ),
    _Cause(
        r"(Release file for \S+ is (?:expired|not valid yet).*)",
        "the host's clock and its package archive disagree",
        "check the host's clock (`timedatectl`), then run again",
    ),
    _Cause(
        r"(NO_PUBKEY \w+|The repository .* is not signed|(?:EXPKEYSIG|Missing key) \w+.*)",
        "a package archive of the host is not signed by a key it trusts",
        "correct that source under /etc/apt, or install its key, then run again",
    ),
)


def explain(output: Sequence[str]) -> Failed | None:
    """The cause that a failed command's output names; None where it names none that is known."""
    text = "\n".join(output)
    for cause in _CAUSES:
        match = re.search(cause.pattern, text)
        if match and re.search(cause.beside, text):
            found = next((group for group in match.groups() if group), match[0])
            return Failed(cause.message, found=found.rstrip(".,;'"), hint=cause.hint)
    return None
