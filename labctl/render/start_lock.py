"""The lock on its cards that a service holds while it loads, so that of several on one card each finds what it needs.

An engine asks how much memory is free, takes a while, and fails if another has taken it meanwhile. The unit below is
wanted by the service, becomes active when it has the lock, and is stopped once the service is healthy, or failed. A
lock in ExecStartPre= would be gone with its process; ordering the services themselves would put each one's neighbours
into its file, and a new neighbour would start it anew.
"""

from labctl.render import names
from labctl.render.unit_text import UnitText, literal
from labctl.render.values import Asked

_FOLDER = "labctl/cards"
_SANDBOX = {
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "yes",
    "PrivateDevices": "yes",
    "PrivateNetwork": "yes",
    "PrivateTmp": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "RestrictAddressFamilies": "AF_UNIX",
    "RestrictNamespaces": "yes",
    "MemoryDenyWriteExecute": "yes",
    "SystemCallArchitectures": "native",
}


def lock_text(asked: Asked, header: tuple[str, ...]) -> str:
    """A plain systemd unit. Cards are locked in the order of their names, so that no two wait for each other."""
    cards = sorted(claim.card for claim in asked.planned.cards)
    text = UnitText(asked.facts.podman)
    text.say("Unit", "Description", f"{asked.name} alone loads onto its cards, placed by labctl")
    # Nobody waits for it any more: the start was called off.
    text.say("Unit", "StopWhenUnneeded", "yes")
    text.say("Service", "Type", "notify")
    text.say("Service", "NotifyAccess", "all")
    locks = " ".join(f"/usr/bin/flock --no-fork /run/{_FOLDER}/{lock_name(card)}" for card in cards)
    first = asked.service.first
    # Each of the others lets go at its own time-out at the latest; what keeps state may take any time to start.
    most = first.start_seconds if first.keeps_state else "infinity"
    ready = f"systemd-notify --ready && exec sleep {most}"
    text.say("Service", "ExecStart", f"{literal(locks)} /usr/bin/sh -c '{ready}'")
    text.say("Service", "TimeoutStartSec", "infinity")
    text.say("Service", "TimeoutStopSec", "10")
    text.say("Service", "RuntimeDirectory", _FOLDER)
    text.say("Service", "RuntimeDirectoryPreserve", "yes")
    for key, value in _SANDBOX.items():
        text.say("Service", key, value)
    return text.text(header)


def lock_name(card: str) -> str:
    """The file of one card's lock. A card without a UUID is called HOST/INDEX."""
    return f"{card.replace('/', '-')}.lock"


def lock_path(asked: Asked) -> str:
    """The unit's file among those of a stage."""
    return f"systemd/{names.lock(asked.name)}"
