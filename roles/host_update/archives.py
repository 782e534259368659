"""What the archives would bring: the lists fetched, and apt's own account of a run that moves what is held back.

apt-get's simulation prints `Inst NAME [OLD] (NEW ORIGIN … [ARCH])` for each package it would unpack, `Remv NAME [OLD]`
for each it would remove; the same words since apt 0.7.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.errors import Failed
from labctl.hoststate.failure_causes import explain
from labctl.hoststate.packages import IN_USE
from roles.base.held_packages import HELD_PACKAGES

_MARK = "@labctl"
# A survey ends after 300 s, whoever holds the lock of the lists by then.
_FETCH_SECONDS = 200
_LOCKED = "Could not get lock"


@dataclass(frozen=True)
class Move:
    """A package that apt would unpack. old: None for one that is new."""

    name: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Offer:
    """What apt would do. kept: packages a person told apt to keep; builds: dkms builds modules on this host.

    busy: packages are being installed at this moment, so that nothing else is known.
    """

    moves: tuple[Move, ...] = ()
    removed: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    driver: frozenset[str] = frozenset()
    builds: bool = False
    busy: bool = False


def asking(*, driver: bool) -> str:
    """A script (root) that fetches the package lists, changes nothing else, and prints what `parse` reads.

    driver: the driver's packages move, too, and not the kernel's alone.
    """
    names = "$(printf '%s\\n' \"$held\" | " + ("" if driver else "grep '^kernel ' | ") + "cut -d' ' -f2)"
    return rf"""{IN_USE} && {{ echo "{_MARK} busy"; exit; }}
held=$({HELD_PACKAGES})
[ -n "$held" ] || exit
fetched=0
options="-q -o Acquire::Retries=3 -o APT::Update::Error-Mode=any"
said=$(timeout {_FETCH_SECONDS} apt-get $options update 2>&1) || fetched=$?
printf '{_MARK} fetched %s\n%s\n' $fetched "$(printf '%s\n' "$said" | grep -E '^(E|W|Err)' | tail -n 20)"
[ $fetched = 0 ] || exit
names={names}
echo "{_MARK} kept" $(apt-mark showhold $names)
echo "{_MARK} driver" $(printf '%s\n' "$held" | sed -n 's/^driver //p')
simulate() {{ apt-get -q -s -o APT::Get::Assume-Yes=true -o APT::Get::allow-change-held-packages=true \
  --no-install-recommends install $names "$@" 2>&1; }}
failed=0; said=$(simulate) || failed=$?
for each in /var/lib/dkms/*/*/source; do [ -e "$each" ] && builds=yes; done
if [ "${{builds:-}}" = yes ]; then
  echo "{_MARK} builds"
  headers=
  for release in $(printf '%s\n' "$said" | sed -nE '/-dbg /d; s/^Inst linux-image-(unsigned-)?([0-9][^ ]*) .*/\2/p'); do
    [ -e /lib/modules/$release/build ] || headers="$headers linux-headers-$release"
  done
  [ -z "$headers" ] || {{ failed=0; said=$(simulate $headers) || failed=$?; }}
fi
printf '{_MARK} simulated %s\n' $failed
printf '%s\n' "$said" | grep -E '^(Inst|Remv|E:| +[^ ]+ :)'
"""


def parse(text: str) -> Offer:
    """Read what `asking` printed.

    Raises Failed where the lists could not be fetched, or apt cannot move these packages.
    """
    sections: dict[str, list[str]] = {}
    for part in re.split(rf"^{_MARK} ", text, flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        word, _, rest = head.partition(" ")
        sections[word] = [rest, *(line for line in body.splitlines() if line.strip())]
    if "busy" in sections:
        return Offer(busy=True)
    if "fetched" not in sections:
        return Offer()
    fetched, *said = sections["fetched"]
    if fetched != "0":
        if any(_LOCKED in line for line in said):
            return Offer(busy=True)
        raise explain(said) or Failed(
            "the package lists cannot be fetched",
            found=next((line for line in said if line.startswith("E")), "no answer in time"),
            hint="`sudo apt-get update` on the host says more; nothing was changed",
        )
    failed, *lines = sections.get("simulated", ["1"])
    if failed != "0":
        found = [line.strip() for line in lines if not line.startswith(("Inst", "Remv"))]
        raise Failed(
            "apt cannot move kernel and driver together",
            found=(found or ["no reason"])[0],
            hint="`sudo apt-get -s full-upgrade` on the host says more; nothing was changed",
        )
    return Offer(
        moves=tuple(
            Move(*match.groups())
            for line in lines
            if (match := re.match(r"Inst (\S+)(?: \[([^\]]+)\])? \((\S+)", line))
        ),
        removed=tuple(line.split()[1] for line in lines if line.startswith("Remv ")),
        kept=tuple(sections["kept"][0].split()),
        driver=frozenset(sections["driver"][0].split()),
        builds="builds" in sections,
    )
