"""The CUDA 12 toolkit, which stays 12; or none, for a host that runs containers only."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.driver.decision import Decision
from labctl.driver.packages import Pin
from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from roles.cuda.settings import CudaSettings
from roles.nvidia_driver.decided import decided
from roles.nvidia_driver.deploy import nvidia_driver, nvidias_repository, pins
from roles.nvidia_driver.settings import DEFAULTS, NvidiaDriverSettings

PINS = "/etc/apt/preferences.d/51-labctl-cuda"
PROFILE = "/etc/profile.d/50-labctl-cuda.sh"
# The distribution's toolkit: names without a number in them, so that only their versions say which CUDA they are.
_UNNUMBERED = ("nvidia-cuda-toolkit*", "nvidia-cuda-dev", "nvidia-cuda-gdb", "nvidia-profiler", "libcudart12")


@role("cuda", CudaSettings, nvidia_driver)
def cuda(
    settings: CudaSettings,
    facts: HostFacts,
    driver: NvidiaDriverSettings = DEFAULTS,
) -> Iterator[Resource]:
    """What the driver's source and the cards allow; nothing where a container brings it, or without a card."""
    found = decided(driver, facts, cuda=settings.toolkit)
    if found is None or found[1].cuda is None:
        return
    decision, toolkit = found[1], found[1].cuda
    yield Files(
        "settings",
        (
            File(PINS, pins(toolkit_pins(decision))),
            File(PROFILE, render(__file__, "cuda.sh", folder=f"/usr/local/cuda-{toolkit.version}")),
        ),
    )
    if decision.source != "nvidia" and decision.repository:
        yield nvidias_repository(decision, driver)
    yield Packages("toolkit", (toolkit.package,))
    yield Condition(
        "CUDA 12",
        probe=f". {PROFILE}; nvcc --version | sed -n 's/.*release \\([0-9]*\\)\\..*/\\1/p'",
        wanted="12",
        settled_by=(toolkit.package,),
        reads=(PROFILE,),
        problem="nvcc does not say that it is CUDA 12",
        apply=f"said=$(. {PROFILE}; command -v nvcc; nvcc --version)\n"
        'echo "labctl: another CUDA than 12 stands in the way:" $said >&2; exit 1',
    )


def toolkit_pins(decision: Decision) -> tuple[Pin, ...]:
    """What keeps the toolkit on 12."""
    names = tuple(dict.fromkeys((*_UNNUMBERED, decision.cuda.package if decision.cuda else "")))
    if decision.cuda and decision.cuda.package.startswith("cuda-toolkit-"):
        names = (decision.cuda.package,)
    return (Pin(names, "version 12.*", 1001),)
