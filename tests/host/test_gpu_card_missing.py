"""A card that is not there at boot, or there and dead: all that does not need it runs, and it is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from labctl.rig.host_report import HANGS
from roles.container_toolkit.deploy import CDI
from roles.gpu_power.host_limits import POWER
from roles.nvidia_persistence.deploy import UNIT as DAEMON
from tests.host import gpu_layers, simulated_driver
from tests.host.gpu_box import LIMITED, LIMITS, GpuBox, cards
from tests.host.hosts import ThrowawayHosts
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

_FASTER = """#!/bin/sh
# STAND-IN for timeout: time goes five times as fast, or a test would wait for minutes.
if [ "$1" = -k ]; then shift 2; fi
seconds=$1; shift
exec /usr/bin/timeout -k 1 $((seconds / 5)) "$@"
"""
_GONE, _LEFT = uuid_of(0), uuid_of(1)
_ALONE = replace(cards(), cards=(replace(cards().cards[1], nvlink=()),))


@dataclass(frozen=True)
class Loss:
    """What becomes of the first card. answering: how to ask nvidia-smi for the limit of the other."""

    name: str
    lost: tuple[int, ...]
    answering: str

    def happens_to(self, box: GpuBox) -> None:
        """The host boots without it."""
        simulated_driver.next_boot_finds(box.host, cards() if self.lost else _ALONE, lost=self.lost)
        box.host.reboot()
        assert box.host.wait_running() == "running"


_LOSSES = (
    Loss("gone from the bus", (), LIMITS),
    # nvidia-smi says nothing of any card when one is lost, but of the one that it is asked for.
    Loss("on the bus and dead", (0,), f"{LIMITS} -i 1"),
)


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuBox]:
    host = throwaway_hosts.boot("one-card", layer=gpu_layers.driven(throwaway_hosts))
    yield gpu_layers.box_on(host, tmp_path_factory.mktemp("one-card"))
    throwaway_hosts.destroy(host)


@pytest.mark.parametrize("loss", _LOSSES, ids=lambda loss: loss.name)
def test_the_other_card_works_and_the_missing_one_is_named(box: GpuBox, loss: Loss) -> None:
    name = box.host.name
    loss.happens_to(box)
    assert box.root("systemctl --failed --no-legend --plain") == ""
    assert box.root(loss.answering) == f"{_LEFT}, 280.00 W"
    described = box.root(f"cat {CDI}")
    assert _LEFT in described
    assert _GONE not in described

    verify = box.labctl("verify")
    assert verify.exit_code == 3, verify.stdout
    (failed,) = (check for check in verify.host(name)["checks"] if check["status"] == "failed")
    assert failed["role"] == "gpu_power"
    assert failed["reason"].count("\n") == 0
    assert f"{_GONE} does not answer" in failed["reason"]

    check = box.labctl("check")
    assert (check.exit_code, check.pending(name)) == (0, {}), check.stdout
    deploy = box.labctl("deploy")
    assert (deploy.exit_code, deploy.changed(name)) == (0, set()), deploy.stdout
    for run in (check, deploy):
        (note,) = run.host(name)["notes"]
        assert f"{_GONE} does not answer" in note["message"]


def test_a_limit_changed_meanwhile_is_corrected_on_the_card_that_is_left(box: GpuBox) -> None:
    """The dead card is still there from the test before."""
    box.root("nvidia-smi -i 1 -pl 350; nvidia-smi -i 1 -pm 0")
    deploy = box.labctl("deploy")
    assert deploy.exit_code == 0, deploy.stdout
    assert deploy.changed(box.host.name) == {
        "nvidia_persistence: persistence mode",
        "gpu_power: limits in force",
    }
    assert box.root(_LOSSES[1].answering) == f"{_LEFT}, 280.00 W"


def test_a_card_that_hangs_leaves_the_other_limited_and_is_named(box: GpuBox) -> None:
    """Xid 119: whoever asks the card for more than its name waits, at boot, too."""
    simulated_driver.write(box.host, "usr/local/bin/timeout", _FASTER, mode=0o755)
    simulated_driver.next_boot_finds(box.host, cards(), hanging=(0,))
    box.host.reboot()
    box.root(f"systemctl start {POWER.name}")  # waits for it, should it still be at work
    answering = (
        "timeout 20 nvidia-smi --query-gpu=uuid,power.limit,persistence_mode --format=csv,noheader -i 1"
    )
    assert box.root(answering) == f"{_LEFT}, 280.00 W, Enabled"
    assert box.root("systemctl --failed --no-legend --plain") == ""
    assert f"{_GONE}: {HANGS}" in box.root(f"journalctl -b -q -o cat -u {POWER.name}")
    assert f"card 0: {HANGS}" in box.root(f"journalctl -b -q -o cat -u {DAEMON}")

    box.root("nvidia-smi -i 1 -pl 350")
    deploy = box.labctl("deploy")
    assert deploy.exit_code == 0, deploy.stdout
    assert deploy.changed(box.host.name) == {"gpu_power: limits in force"}
    assert box.root(answering) == f"{_LEFT}, 280.00 W, Enabled"
    (note,) = deploy.host(box.host.name)["notes"]
    assert f"{_GONE} does not answer (card 0: {HANGS})" in note["message"]
    box.root("rm /usr/local/bin/timeout")


def test_when_the_card_is_back_all_is_as_before_without_a_deploy(box: GpuBox) -> None:
    simulated_driver.next_boot_finds(box.host, cards())
    box.host.reboot()
    assert box.host.wait_running() == "running"
    assert box.root(LIMITS) == LIMITED
    assert _GONE in box.root(f"cat {CDI}")
    check = box.labctl("check")
    assert check.exit_code == 0, check.stdout
    assert check.host(box.host.name)["notes"] == []
    verify = box.labctl("verify")
    assert verify.exit_code == 0, verify.stdout
