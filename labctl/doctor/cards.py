"""Why a card, or the driver of all of them, does not answer: explanations that the checks of many roles share."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from labctl.doctor.clues import Clues, Xid
from labctl.doctor.explanation import Explanation
from labctl.driver import obstacles
from labctl.driver.host import DriverHost
from labctl.driver.obstacles import Obstacle

# NVIDIA's list of Xid errors, https://docs.nvidia.com/deploy/xid-errors/.
_FELL_OFF_THE_BUS, _UNCORRECTABLE_MEMORY, _FIRMWARE_SILENT = 79, 48, (119, 120)
_LOOK = "`sudo dmesg | grep -iE 'nvrm|xid'` shows what the driver said"
_RESEAT = "Power the machine off, reseat the card and its power cables (a riser first), and boot"
# nvidia-smi's words, and the checks' own, when there is no driver to ask.
_NO_DRIVER = (
    "couldn't communicate with the NVIDIA driver|no NVIDIA driver is loaded|no driver is loaded"
    "|driver/nvidia/version|Driver Not Loaded"
)


def _in_the_way(host: DriverHost) -> Iterator[Obstacle]:
    """What keeps a driver from loading or from being built here, as the preflight says it."""
    yield from obstacles.of_existing(host, ())
    yield from obstacles.of_packages(host, None)
    ready_made = any(each.name.startswith("linux-modules-nvidia-") for each in host.module_packages)
    for each in obstacles.of_build(host, "precompiled" if ready_made else "dkms"):
        # What is built already needs no headers any more.
        if each.code != "headers" or host.next_boot.nvidia is None:
            yield each


def _obstacle(clues: Clues) -> Obstacle | None:
    return next(_in_the_way(clues.driver), None) if clues.driver else None


def _of_obstacle(field: Callable[[Obstacle], str]) -> Callable[[Clues], str]:
    def words(clues: Clues) -> str:
        found = _obstacle(clues)
        assert found
        return _sentence(field(found))

    return words


def _sentence(clause: str) -> str:
    return clause[:1].upper() + clause[1:] + ("" if clause.endswith(".") else ".")


def _host(holds: Callable[[DriverHost], bool]) -> Callable[[Clues], bool]:
    return lambda clues: clues.driver is not None and holds(clues.driver)


_IN_THE_WAY = Explanation(
    _of_obstacle(lambda found: found.message),
    _of_obstacle(lambda found: found.way_out),
    when=lambda clues: _obstacle(clues) is not None,
)
"""Something that the preflight would name: Secure Boot, headers, a .run installer, a half-finished installation."""

REFUSED = Explanation(
    lambda clues: _sentence(clues.message.partition("no driver for this host: ")[2].partition(" — ")[0]),
    lambda clues: _sentence(
        clues.message.partition(" — ")[2] or "`labctl preflight` says what is in the way"
    ),
    says="no driver for this host: ",
)
"""The preflight refuses this host; its words are in the check's message."""

_NOUVEAU_HOLDS_THE_CARD = Explanation(
    "The kernel's own driver, nouveau, has taken the card, and two drivers cannot hold it.",
    "`labctl deploy` keeps nouveau off and reboots.",
    when=_host(lambda host: host.nouveau),
)

_NOT_BUILT = Explanation(
    lambda clues: (
        f"The driver was not built for {clues.driver.next_boot.release}, the kernel that boots next."
        if clues.driver
        else "The driver was not built for the kernel that boots next."
    ),
    "`labctl deploy` builds it, or says which error the compiler met.",
    when=_host(lambda host: host.next_boot.nvidia is None),
)

_NOT_LOADED = (
    _IN_THE_WAY,
    _NOUVEAU_HOLDS_THE_CARD,
    _NOT_BUILT,
    Explanation(
        "The driver is installed and not loaded: the host was not restarted since, or the card did not start.",
        f"`sudo reboot` on the host; if it is the same after that, {_LOOK}.",
    ),
)

DRIVER_DOWN = (
    REFUSED,
    Explanation(
        "The driver was updated under the one that is loaded, and the two do not talk to each other.",
        "`sudo reboot` on the host loads the new one.",
        says="[Dd]river/library version mismatch",
    ),
    *(Explanation(each.cause, each.fix, says=_NO_DRIVER, when=each.when) for each in _NOT_LOADED),
    Explanation(
        "The driver's programs are not installed.",
        "`labctl deploy` installs them; `labctl preflight` says which driver it takes.",
        says="nvidia-smi: (command )?not found",
    ),
)
"""There is no driver to ask: first in every check that asks it."""

NOT_BUILT = tuple(
    Explanation(each.cause, each.fix, says="has no module", when=each.when)
    for each in (_IN_THE_WAY, _NOT_BUILT)
)
"""The kernel that boots next has no driver."""


def _gave_up_with(*codes: int) -> Callable[[Clues], bool]:
    return lambda clues: clues.gave_up is not None and clues.gave_up.code in codes


def _of_xid(words: Callable[[Xid], str]) -> Callable[[Clues], str]:
    def said(clues: Clues) -> str:
        assert clues.gave_up
        return words(clues.gave_up)

    return said


def _does_not_answer(clues: Clues) -> str:
    several = len(clues.silent) > 1
    where = (
        f"The {'cards' if several else 'card'} at {' and '.join(clues.silent)} {'are' if several else 'is'}"
    )
    xid = f" (Xid {clues.gave_up.code})" if clues.gave_up else ""
    return f"{where} on the PCI bus, and the driver does not answer for {'them' if several else 'it'}{xid}."


CARD_MISSING = (
    Explanation(
        _of_xid(
            lambda xid: (
                f"The card at {xid.slot} fell off the bus while it ran (Xid {xid.code}): mostly its power, a"
                " riser or its seat."
            )
        ),
        f"{_RESEAT}; if it falls off again, lower its limit: `labctl power` shows how.",
        when=_gave_up_with(_FELL_OFF_THE_BUS),
    ),
    Explanation(
        _of_xid(
            lambda xid: (
                f"The memory of the card at {xid.slot} has an error that cannot be corrected (Xid {xid.code})."
            )
        ),
        "`sudo reboot`; a card that says so again is worn out: replace it.",
        when=_gave_up_with(_UNCORRECTABLE_MEMORY),
    ),
    Explanation(
        _of_xid(lambda xid: f"The card at {xid.slot} stopped answering its driver (Xid {xid.code})."),
        f"`sudo reboot`; if it comes back, {_LOOK}.",
        when=_gave_up_with(*_FIRMWARE_SILENT),
    ),
    Explanation(_does_not_answer, f"{_LOOK}. {_RESEAT}.", when=lambda clues: bool(clues.silent)),
)
"""The driver runs, and a card of those it should know does not answer."""

NOT_ON_THE_BUS = Explanation(
    "The machine itself does not see the card: it has no power, sits loose, or its slot is switched off.",
    f"{_RESEAT}; `lspci | grep -i nvidia` has to list it. A card that was taken out for good: take it out of the"
    " inventory, too.",
)
"""When nothing else explains a card that is gone."""

_GONE = "(shows|lists) no card"  # the checks' own words
_LOST = "GPU is lost|determine the device handle"  # nvidia-smi's

CARD_GONE = (
    *(Explanation(each.cause, each.fix, says=f"{_GONE}|{_LOST}", when=each.when) for each in CARD_MISSING),
    Explanation(
        "A card dropped out while it ran: mostly its power, a riser or its seat.",
        f"{_LOOK}. {_RESEAT}.",
        says=_LOST,
    ),
    Explanation(NOT_ON_THE_BUS.cause, NOT_ON_THE_BUS.fix, says=_GONE),
)
"""nvidia-smi runs and lists none, or stumbles over one."""
