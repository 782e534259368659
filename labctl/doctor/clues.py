"""What may explain a failed check: its own words, what the host is, and what its cards and its kernel say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from labctl.driver.host import DriverHost
from labctl.rig.host_report import asking, sections

# The kernel's own lines of this boot that are about the driver; those of a crash loop are alike.
_KERNEL_LINES = 200
SCRIPT = rf"""
export LC_ALL=C
section() {{ printf '\n@@labctl %s\n' "$1"; }}
section cards{asking("--query-gpu=pci.bus_id --format=csv,noheader")}section kernel
journalctl -k -b -q -o cat --no-pager 2>/dev/null | grep -E 'NVRM|nvidia|nouveau' | tail -n {_KERNEL_LINES}
section end
"""
"""Asks a host, as root, for what `parse` reads. Changes nothing."""

# What `output_of` says of a command that failed, the shell of one that did not end, and an exception of a check itself.
_UNANSWERED = re.compile(r"^`.+` failed with exit status \d|no answer within \d|^[A-Z]\w*(Error|Exception): ")
# `NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.`
_XID = re.compile(r"NVRM: Xid \(PCI:([0-9a-fA-F:.]+)\): (\d+)")


@dataclass(frozen=True)
class Xid:
    """An error that the driver reported of a card. slot: as `0000:01:00`, without the function. code: NVIDIA's."""

    slot: str
    code: int


@dataclass(frozen=True)
class Asked:
    """What a host said to SCRIPT. answering: PCI slots of the cards that nvidia-smi lists, None where it cannot say.

    xids: the driver's errors of this boot, the oldest first.
    """

    answering: frozenset[str] | None = None
    xids: tuple[Xid, ...] = ()


@dataclass(frozen=True)
class Clues:
    """Of one failed check. driver: None on a host without a card of NVIDIA's."""

    message: str
    driver: DriverHost | None = None
    asked: Asked = Asked()

    @property
    def unanswered(self) -> bool:
        """Whether the check came to no answer, rather than to a bad one."""
        return bool(_UNANSWERED.search(self.message))

    @property
    def silent(self) -> tuple[str, ...]:
        """Slots of cards that are on the bus, and that the driver should answer for and does not."""
        if self.driver is None or self.asked.answering is None:
            return ()
        meant = (card.slot.lower() for card in self.driver.cards if card.driver != "vfio-pci")
        return tuple(slot for slot in meant if slot not in self.asked.answering)

    @property
    def gave_up(self) -> Xid | None:
        """The last error of a card that does not answer; of any card, where none is known to be silent."""
        silent = [slot.rpartition(".")[0] for slot in self.silent]
        of_those = [xid for xid in self.asked.xids if not silent or xid.slot in silent]
        return of_those[-1] if of_those else None


def parse(output: str) -> Asked:
    """Read what SCRIPT printed; what is missing of it is not known."""
    parts = sections(output)
    slots = re.findall(
        r"^(?:0000)?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-9a-f])$",
        parts.get("cards", "").lower(),
        re.MULTILINE,
    )
    xids = tuple(
        Xid(slot.lower().partition(".")[0], int(code)) for slot, code in _XID.findall(parts.get("kernel", ""))
    )
    answered = slots or "No devices were found" in parts.get("cards", "")
    return Asked(frozenset(slots) if answered else None, xids)
