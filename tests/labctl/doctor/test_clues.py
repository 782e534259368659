"""What a host says of its cards and its kernel, read as clues."""

from dataclasses import replace

import pytest

from labctl.doctor.clues import Asked, Clues, Xid, parse
from tests.labctl.driver.hosts import device, host

PAIR = host(device("rtx-3090"), device("rtx-3090"))  # at 0000:01:00.0 and 0000:02:00.0
# The kernel's words as NVIDIA's driver writes them.
KERNEL = """NVRM: Xid (PCI:0000:02:00): 31, pid=1122, name=llama-server, Ch 00000008, intr 00000000. MMU Fault
NVRM: GPU 0000:01:00.0: GPU has fallen off the bus.
NVRM: Xid (PCI:0000:01:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus.
"""


def answer(cards: str, kernel: str = "") -> str:
    return f"\n@@labctl cards\n{cards}\n\n@@labctl kernel\n{kernel}\n@@labctl end\n"


def test_cards_and_errors_are_read() -> None:
    asked = parse(answer("00000000:02:00.0\n00000000:41:00.0", KERNEL))
    assert asked.answering == frozenset({"0000:02:00.0", "0000:41:00.0"})
    assert asked.xids == (Xid("0000:02:00", 31), Xid("0000:01:00", 79))


@pytest.mark.parametrize("said", ["", answer("nvidia-smi: not found")])
def test_what_is_not_said_is_not_known(said: str) -> None:
    assert parse(said) == Asked()


def test_the_card_that_is_silent_is_the_one_on_the_bus_that_does_not_answer() -> None:
    said = parse(answer("00000000:02:00.0", KERNEL))
    clues = Clues("", PAIR, said)
    assert clues.silent == ("0000:01:00.0",)
    assert clues.gave_up == Xid("0000:01:00", 79)
    assert Clues("", PAIR, parse(answer("No devices were found"))).silent == ("0000:01:00.0", "0000:02:00.0")
    assert Clues("", PAIR, parse(answer("nothing"))).silent == ()
    assert Clues("", None, said).silent == ()


def test_a_card_that_is_a_virtual_machines_is_not_silent() -> None:
    first, second = PAIR.cards
    passed_on = replace(PAIR, cards=(replace(first, driver="vfio-pci"), second))
    assert Clues("", passed_on, parse(answer("00000000:02:00.0"))).silent == ()


def test_an_error_of_a_card_that_answers_again_is_not_what_silences_another() -> None:
    said = parse(answer("00000000:02:00.0", KERNEL.splitlines()[0]))
    assert Clues("", PAIR, said).gave_up is None
