"""A machine with two cards as labctl reads it, and a plan for it."""

from labctl.edges import catalog
from labctl.plan.plan import Plan, PlannedWorkload
from labctl.rig.live import LiveHost, Reading
from labctl.rig.reported import Process
from labctl.rig.rig import Card, Host
from tests.labctl.plan.plans import FIRST, SECOND, claims, host, plan, runs

CHAT, IMAGES = "labctl-chat.service", "labctl-images.service"


def machine(
    processes: dict[int, dict[str, int | None]], *ids: str, name: str = "aibox", memory_mib: int = 24123
) -> LiveHost:
    """Two RTX 3090. processes: memory by unit, by card."""
    gpu = catalog.gpu("rtx-3090")
    readings = tuple(
        Reading(
            Card(each, name, index, gpu, memory_mib),
            24576,
            0,
            0,
            None,
            processes=tuple(
                Process(100, "server", amount, "C", unit, unit.startswith("labctl-"))
                for unit, amount in processes.get(index, {}).items()
            ),
        )
        for index, each in enumerate(ids or (FIRST, SECOND))
    )
    return LiveHost(Host(name, tuple(each.card for each in readings), ram_mib=128_900), readings)


def both(**more: PlannedWorkload) -> Plan:
    """A chat on the first card, images on the second, and a service without a card."""
    chat, images = runs(cards=claims(first=9000)), runs("comfyui", cards=claims(second=7000))
    there = host(FIRST, SECOND, ram_gib=126)
    return plan({"chat": chat, "images": images, "ui": runs("open-webui"), **more}, there)
