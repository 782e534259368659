"""A trial on the host: what a container sees that is given one card, before and after systemd reads its units again.

No image is asked for and none is left: the container's root is a copy of a C library, `sleep` and `test`, as any image
has them. nvidia-smi, the driver's library and the device nodes have to come from the description, as for a service.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator

from roles.container_toolkit.deploy import UVM, UVM_WANTED

# Beside Podman's own storage: /tmp and /run may forbid to run programs. Should the connection break, a container ends
# by itself after two minutes and is gone with it (--rm).
_SCRIPT = r"""set -u
work=$(mktemp -d /var/lib/labctl-check.XXXXXX) || exit 1
names=
leave() { [ -z "$names" ] || podman rm -f -t 0 $names >/dev/null 2>&1; rm -rf --one-file-system "$work"; }
trap leave EXIT; trap 'exit 1' HUP INT TERM
image=$work/image
mkdir -p "$image/dev" "$image/etc" "$image/proc" "$image/sys" "$image/run" "$image/tmp" "$image/usr/bin"
sleep=$(command -v sleep) test=/usr/bin/test smi=$(command -v nvidia-smi)
library=$(ldconfig -p | sed -n 's/.*libnvidia-ml\.so\.1 (.*x86-64.* => //p' | head -n 1)
for each in "$sleep" "$test" "$smi" $library; do ldd "$(readlink -f "$each")" | grep -oE '/[^ ]+'; done |
  grep -v nvidia | sort -u | while read -r needed; do cp -L --parents "$needed" "$image"; done
cp -L --parents "$sleep" "$test" "$image"
last() { printf %s "${1:-no output}" | grep . | tail -n 1; }
n=0
for card in @cards@; do
  n=$((n + 1)) name=labctl-check-$$-$n root=$work/card$n
  cp -a "$image" "$root"
  if said=$(timeout 30 podman run --rm --detach --name "$name" --network none --cap-drop all \
    --security-opt no-new-privileges --device "nvidia.com/gpu=$card" --rootfs "$root" "$sleep" 120 2>&1)
  then names="$names $name"; echo "$card $name" >>"$work/started"
  else echo "$card start $(last "$said")"; fi
done
ask() {
  [ ! -e "$work/started" ] || while read -r card name; do
    if ! said=$(timeout 30 podman exec "$name" nvidia-smi -L 2>&1 </dev/null)
    then echo "$card $1 failed $(last "$said")"
    elif @uvm_wanted@ && ! timeout 30 podman exec "$name" "$test" -c @uvm@ </dev/null
    then echo "$card $1 lacks @uvm@"
    else echo "$card $1 saw $(printf %s "$said" | grep -oE 'GPU-[0-9a-f-]+' | tr '\n' ' ')"; fi
  done <"$work/started"
}
ask before
systemctl daemon-reload
ask after
"""
_WHEN = {"before": "", "after": "after `systemctl daemon-reload` "}


def script(cards: Iterable[str]) -> str:
    """The trial, for cards by UUID: root's, for sh. Prints lines that `mistakes` reads."""
    quoted = " ".join(shlex.quote(card) for card in cards)
    return _SCRIPT.replace("@cards@", quoted).replace("@uvm_wanted@", UVM_WANTED).replace("@uvm@", UVM)


def mistakes(cards: Iterable[str], printed: str) -> Iterator[str]:
    """What is wrong, by what the trial printed: a clause for each card that its container, or another's, misses."""
    said = {
        (card, stage): rest for card, stage, rest in re.findall(r"^(\S+) (\S+) ?(.*)$", printed, re.MULTILINE)
    }
    for card in cards:
        if (card, "start") in said:
            yield f"no container can be given {card}: {said[card, 'start']}"
            continue
        for stage, when in _WHEN.items():
            kind, _, rest = said.get((card, stage), "failed no answer").partition(" ")
            seen = rest.split()
            if kind == "lacks":
                yield f"{when}a container given {card} has no {rest}: CUDA finds no card there"
            elif kind == "failed" or not seen:
                yield f"{when}a container given {card} sees no card: {rest or 'nvidia-smi lists none'}"
            elif seen != [card]:
                yield f"{when}a container given {card} sees {' and '.join(seen)}"
            else:
                continue
            break  # what was wrong before is no better after
