"""A container gets the card that it asks for and no other, with Podman's own CDI; and a description that gives more.

The cards are simulated, nvidia-ctk and its hook are stand-ins that write what the real ones do; Podman, crun and
nvidia-smi are real. Run with real cards: never yet.
"""

from collections.abc import Iterator
from typing import Any

import pytest

from roles.container_toolkit.checks import test_container as container_check
from roles.container_toolkit.deploy import CDI, UNIT, UVM
from tests.host import gpu_layers
from tests.host.deploying import Run
from tests.host.gpu_box import GpuBox
from tests.host.hosts import ThrowawayHosts
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

NAME = str(container_check.__doc__)
# Every container would have all cards, whatever it asks for.
_ALL_FOR_EACH = f"sed -i 's,^  deviceNodes:,&\\n  - path: /dev/nvidia0\\n  - path: /dev/nvidia1,' {CDI}"


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GpuBox]:
    host = throwaway_hosts.boot("cdi", layer=gpu_layers.with_toolkit(throwaway_hosts))
    yield gpu_layers.box_on(host, tmp_path_factory.mktemp("cdi"))
    throwaway_hosts.destroy(host)


def said(run: Run, box: GpuBox) -> dict[str, Any]:
    """What a doctor says of the check."""
    return next(each for each in run.host(box.host.name)["checks"] if each["check"] == NAME)


def test_a_container_sees_its_card_alone_and_nothing_is_left_behind(box: GpuBox) -> None:
    things = "podman ps -aq; podman images -q; ls -d /var/lib/labctl-check* 2>/dev/null; ls /run/containers || true"
    before = box.root(things)
    run = box.labctl("doctor", "--only", "container_toolkit")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert {each["outcome"] for each in run.host(box.host.name)["checks"]} == {"passed"}
    assert box.root(things) == before


def test_a_description_that_gives_every_container_all_cards_is_named_and_explained(box: GpuBox) -> None:
    box.root(_ALL_FOR_EACH)
    run = box.labctl("doctor", "--only", "container_toolkit")
    assert run.exit_code == 3, run.stdout + run.stderr
    found = said(run, box)
    assert f"a container given {uuid_of(0)} sees {uuid_of(0)} and {uuid_of(1)}" in found["message"]
    assert "more cards than it asked for" in found["cause"]
    assert UNIT.removesuffix(".service") in found["fix"]
    box.root(f"systemctl restart {UNIT}")
    verified = box.labctl("verify", "--only", "container_toolkit")
    assert verified.exit_code == 0, verified.stdout


def test_a_card_that_the_description_lacks_can_be_given_to_nobody(box: GpuBox) -> None:
    box.root(f"sed -i '/^- name: {uuid_of(1)}/,/nvidia1/d' {CDI}")
    run = box.labctl("doctor", "--only", "container_toolkit")
    assert run.exit_code == 3, run.stdout + run.stderr
    found = said(run, box)
    assert f"no container can be given {uuid_of(1)}: Error" in found["message"]
    assert uuid_of(0) not in found["message"]
    assert "Podman finds no such card" in found["cause"]
    box.root(f"systemctl restart {UNIT}")


def test_without_the_node_of_cuda_no_container_has_a_card_and_it_is_made_anew(box: GpuBox) -> None:
    """Everything about nvidia-smi works then; only CUDA does not."""
    box.root(f"rm {UVM}*; sed -i /nvidia-uvm/d {CDI}")
    run = box.labctl("doctor", "--only", "container_toolkit")
    assert run.exit_code == 3, run.stdout + run.stderr
    assert (
        f"a container given {uuid_of(0)} has no {UVM}: CUDA finds no card there" in said(run, box)["message"]
    )
    assert f"{UVM} was not there" in said(run, box)["cause"]
    failed = [each for each in run.host(box.host.name)["checks"] if each["outcome"] == "failed"]
    assert len(failed) == 2, run.stdout
    deploy = box.labctl("deploy", "--only", "container_toolkit")
    assert deploy.changed(box.host.name) == {"container_toolkit: CDI devices"}, deploy.stdout
    assert box.root(f"stat -c %F {UVM} {UVM}-tools").splitlines() == ["character special file"] * 2
    verified = box.labctl("verify", "--only", "container_toolkit")
    assert verified.exit_code == 0, verified.stdout


def test_nodes_and_description_are_there_after_a_reboot(box: GpuBox) -> None:
    box.host.reboot()
    box.host.wait_running()
    run = box.labctl("doctor", "--only", "container_toolkit")
    assert run.exit_code == 0, run.stdout + run.stderr
