"""What `labctl apply` says of what a host does not give: devices, files to bring, ways in for people."""

from dataclasses import replace

import pytest

from tests.labctl.apply.house import CHAT, UI, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedShell
from tests.labctl.plan.plans import runs


def test_a_device_that_is_not_there_is_named_with_those_of_its_kind(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    house.write({"chat": CHAT, "home": replace(UI, devices=("/dev/ttyUSB0:/dev/stick:rw", "/dev/null"))})
    answer = apply("--yes")
    assert (answer.code, shell.touched) == (3, False)
    (refusal,) = apply("--yes", "--json").document["hosts"]["aibox"]["refusals"]
    assert refusal["where"] == "home, /dev/ttyUSB0"
    assert refusal["found"] == "/dev/serial/by-id/usb-stick, /dev/ttyACM0"
    shell.devices = (*shell.devices, "/dev/ttyUSB0")
    assert apply("--yes").code == 0
    # What runs goes on when somebody pulls the stick out, and another one's change is not held up by it.
    shell.devices = ()
    house.write(
        {
            "chat": replace(CHAT, ram_mib=5000),
            "home": replace(UI, devices=("/dev/ttyUSB0:/dev/stick:rw", "/dev/null")),
        }
    )
    assert apply("--yes").code == 0


@pytest.mark.parametrize("expose", ["lan", "chat.home.example"])
def test_who_counts_on_being_reached_is_told(apply: Applying, house: House, expose: str) -> None:
    house.write({"chat": replace(CHAT, expose=expose), "ui": UI})
    told = " ".join(apply("--yes").out.split())
    assert f"`expose` of chat ({expose}) opens nothing yet" in told
    house.write({"chat": CHAT, "ui": UI})
    assert "expose" not in apply("--yes").out


def test_who_has_to_bring_a_file_is_told_where_to_until_it_is_there(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    path = "/var/lib/containers/storage/volumes/tune-runs/_data/config.yaml"
    shell.absent = (path,)
    house.write({"tune": runs("axolotl", when="01:00-07:00")})
    told = " ".join(apply("--yes").out.split())
    assert f"note: tune does not start before you put {path} on aibox: Axolotl's configuration" in told
    shell.absent = ("/srv/tune/runs/config.yaml",)
    house.write({"tune": runs("axolotl", when="01:00-07:00", data="/srv/tune")})
    assert "before you put /srv/tune/runs/config.yaml" in " ".join(apply("--yes").out.split())
    shell.absent = ()
    house.write({"tune": runs("axolotl", when="02:00-07:00", data="/srv/tune")})
    answer = apply("--yes")
    assert "~ tune" in answer.out
    assert "config.yaml" not in answer.out
