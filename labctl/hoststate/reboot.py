"""A reboot as a resource: the host goes away, comes back, and is held against what the reboot was for."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from labctl.hoststate.resource import Action, Resource

# Gone with everything in /run, so that who comes back knows whether the host did go.
ASKED = "/run/labctl-reboot"
# After the answer to who asked for it is on its way.
REBOOT = (
    f"touch {ASKED}\n"
    "systemd-run --quiet --collect --on-active=2 --timer-property=AccuracySec=100ms systemctl --no-block reboot\n"
)
REBOOT_SECONDS = 900  # servers count their memory for minutes


@runtime_checkable
class Rebooting(Resource, Protocol):
    """A resource whose action may end with REBOOT. `confirm` is run after the host has come back, and fails where the
    reboot did not bring about what it was for.
    """

    @property
    def reboots(self) -> bool:
        """Always true; tells this shape from others."""
        ...

    def confirm(self) -> Action:
        """The script that holds the host against what was wanted."""
        ...
