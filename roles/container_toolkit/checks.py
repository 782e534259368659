"""Do containers find the cards that are there, under names that do not move?"""

from __future__ import annotations

import re

from labctl.doctor.cards import CARD_GONE, DRIVER_DOWN
from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from roles.container_toolkit import card_in_container
from roles.container_toolkit.deploy import CDI, OTHERS, OTHERS_CDI, UNIT, UVM, UVM_WANTED
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.nvidia_driver.checked_here import answering_cards, leave_out_without_driver

_REWRITE = (
    f"`sudo systemctl restart {UNIT}` on the host writes it anew; then restart the services that use cards."
)

_NO_UVM = Explanation(
    f"The driver's {UVM} was not there when the cards were described: nvidia_uvm was not loaded, or nobody created it.",
    f"`sudo systemctl restart {UNIT}` creates and describes it; then restart the services that use cards.",
    says=UVM,
)


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    _NO_UVM,
    Explanation(
        "The description that containers get cards by was written for other cards, or changed by hand.",
        _REWRITE,
    ),
)
def test_devices(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """containers are offered the cards that nvidia-smi lists, by UUID"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    listed = set(answering_cards(host))
    description = output_of(host, "cat %s", CDI)
    named = re.findall(r"""^ *(?:- )?"?name"?: ["']?([^"'\s,]+)""", description, re.MULTILINE)
    found = set(named) - {"all"}
    assert found == listed, (
        f"{CDI} offers {', '.join(sorted(found)) or 'nothing'}, nvidia-smi lists {', '.join(sorted(listed))}"
    )
    if host.run(UVM_WANTED).rc == 0:
        described = re.search(rf"""^ *(?:- )?path: ["']?{UVM}["']?$""", description, re.MULTILINE)
        assert described, f"{CDI} does not offer {UVM}: CUDA finds no card in any container"


@explained(
    *DRIVER_DOWN,
    Explanation(
        "The description that containers get cards by is of another driver than the one loaded.",
        _REWRITE,
    ),
)
def test_driver(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """containers get the libraries of the driver that is loaded"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    loaded = re.search(r"\d{3}\.[0-9.]+", output_of(host, "cat /proc/driver/nvidia/version"))
    assert loaded, "no driver is loaded"
    found = sorted(set(re.findall(r"libcuda\.so\.(\d[0-9.]+\d)", output_of(host, "cat %s", CDI))))
    assert found == [loaded[0]], f"{CDI} mounts {', '.join(found) or 'no'} libcuda, {loaded[0]} is loaded"


@explained(
    Explanation(
        "The toolkit's own unit writes a second description of the same cards, which may hide ours.",
        "`labctl deploy --only container_toolkit` switches it off and removes what it wrote.",
        says="another description",
    ),
    Explanation(
        "The unit that describes the cards for containers at boot is switched off: a new card or driver "
        "would be missed.",
        "`labctl deploy --only container_toolkit` switches it on.",
    ),
)
def test_boot(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """every boot describes the cards anew, and nothing else does"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    states = {unit: host.run("systemctl is-enabled %s", unit).stdout.strip() for unit in (UNIT, *OTHERS)}
    assert states[UNIT] == "enabled", f"{UNIT} is {states[UNIT] or 'not there'}, not enabled"
    for other in OTHERS:
        assert states[other] != "enabled", f"{other} writes another description of the same cards"
    left = host.run("test -e %s", OTHERS_CDI).rc == 0
    assert not left, f"{OTHERS_CDI} is another description of the same cards"


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    Explanation(
        "Podman finds no such card in the descriptions it reads: they are of other cards, or were "
        "changed by hand.",
        _REWRITE,
        says="unresolvable|no such device|not found in",
    ),
    Explanation(
        "A running container loses its card when systemd reads its units again, as with NVIDIA's older "
        "runtime hook.",
        "Give services cards as nvidia.com/gpu=UUID, and remove the hook: `ls "
        "/usr/share/containers/oci/hooks.d` shows it.",
        says="daemon-reload",
    ),
    Explanation(
        "The description gives a container more cards than it asked for: it was changed by hand, or a "
        "second one is there.",
        "`ls /etc/cdi /run/cdi` shows what is there; remove what is not labctl's, then `sudo systemctl "
        "restart labctl-cdi`.",
        says=r"sees GPU-\S+ and GPU-",
    ),
    _NO_UVM,
    Explanation(
        "A container gets no card, or not the one it asked for: the description does not fit the driver "
        "that is there.",
        _REWRITE,
    ),
)
def test_container(host: Host, settings: ContainerToolkitSettings, facts: HostFacts) -> None:
    """a container sees its card and only its card, after a daemon-reload too"""
    leave_out_without_driver(host, facts, "container_toolkit", managed=settings.manage)
    if host.run("command -v podman").rc != 0:
        not_run_here("Podman is not installed")
    cards = answering_cards(host)
    assert cards, "nvidia-smi lists no card"
    wrong = list(card_in_container.mistakes(cards, output_of(host, card_in_container.script(cards))))
    assert not wrong, "; ".join(wrong)
