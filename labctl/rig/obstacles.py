"""Why nothing is placed on a card, whatever its memory."""

from labctl.rig.rig import Card


def obstacles(card: Card) -> tuple[str, ...]:
    """Why nothing is placed on a card, whatever its memory: one sentence each, none for a card that is fine."""
    found = []
    if card.mig:
        found.append("MIG splits this card: turn it off with `nvidia-smi -mig 0`, or leave the card out")
    if card.compute_mode == "exclusive_process":
        found.append(
            "compute mode is EXCLUSIVE_PROCESS, one process at a time: `nvidia-smi -c 0` shares the card"
        )
    if card.compute_mode == "prohibited":
        found.append("compute mode is PROHIBITED: `nvidia-smi -c 0` allows programs again")
    if card.ecc_pending is not None:
        found.append(
            f"error correction will be {'on' if card.ecc_pending else 'off'} after a reboot, which changes the memory"
        )
    if card.memory_mib is None:
        found.append("nobody knows how much memory it has")
    return tuple(found)
