"""When the checks of roles that build on a driver mean something on a host."""

from __future__ import annotations

from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from labctl.rig.host_report import NVIDIA_SMI
from roles.nvidia_driver.answering import ANSWERING
from roles.nvidia_driver.decided import no_card


def leave_out_without_driver(host: Host, facts: HostFacts, role: str, *, managed: bool) -> None:
    """End the check where there is no card, `role` is told to leave it alone, or the driver is another's."""
    if reason := no_card(facts):
        not_run_here(reason)
    if not managed:
        not_run_here(f"{role}.manage is False")
    if facts.container and host.run("test -e /proc/driver/nvidia/version").rc != 0:
        not_run_here(f"{facts.container}: the driver belongs to the machine outside")


def answering_cards(host: Host) -> list[str]:
    """The UUIDs of the cards that answer. Fails with what nvidia-smi says where it cannot tell of any."""
    cards = output_of(host, "sh -c %s", ANSWERING).split()
    if not cards:
        output_of(host, f"{NVIDIA_SMI} -L")
    assert cards, "nvidia-smi lists no card"
    return cards
