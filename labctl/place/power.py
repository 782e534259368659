"""Whether a host's power supply carries what is installed: limits of cards, processor, and the spikes above them."""

from dataclasses import dataclass

from labctl.place.build import gpu_watts, host_watts
from labctl.rig.rig import Host


@dataclass(frozen=True)
class Power:
    """Watts of one host. peak_watts: with the largest single card's spike over its limit. ok: None without a PSU."""

    gpu_watts: int
    system_watts: int
    peak_watts: int
    psu_watts: int | None
    ok: bool | None
    warning: str | None


def power(host: Host) -> Power:
    """PLACEMENT's rule: the sum must fit; with the largest spike on top it had better."""
    cards = gpu_watts(host)
    drawn = cards + host_watts(host)
    spikes = [
        card.gpu.transient_peak_watts - (card.power_limit_watts or card.gpu.tdp_watts or 0)
        for card in host.cards
        if card.gpu.transient_peak_watts
    ]
    peak = drawn + max((spike for spike in spikes if spike > 0), default=0)
    psu = host.psu_watts
    ok = None if psu is None else drawn <= psu
    warning = None
    if psu is not None and drawn > psu:
        warning = (
            f"{drawn} W at the limits, and the power supply gives {psu} W: lower a limit or buy a larger one"
        )
    elif psu is not None and peak > psu:
        warning = (
            f"spikes reach {peak} W, and the power supply gives {psu} W: it may switch off; lower a limit"
        )
    return Power(cards, drawn - cards, peak, psu, ok, warning)
