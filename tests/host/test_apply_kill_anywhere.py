"""An apply that is cut off anywhere ends on the old or the new generation, by the host alone, and loses no data.

The client is killed, the network cable is cut, the host's power is cut: each at the places of apply_kill_points.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import get_args

import pytest

from tests.host import slow_registry
from tests.host.apply_kill_lab import KillLab
from tests.host.apply_kill_points import INSTALL, PULL, SEED, ApplyPoint, points
from tests.host.apply_lab import boot_lab
from tests.host.hosts import ThrowawayHosts
from tests.host.kill_points import Kind

pytestmark = pytest.mark.host

_POINTS = tuple(points())
_IMAGE_MIB = 3
# All of them are seven minutes of two cores: these are tried here, and the others at night.
_EVERY_TIME = {
    ("client killed", INSTALL),
    ("cable cut", PULL),
    ("power cut", INSTALL),
}


@pytest.fixture(scope="module")
def booted(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillLab]:
    lab = boot_lab(throwaway_hosts, tmp_path_factory.mktemp("apply-kill"))
    pulled = {str(number): _IMAGE_MIB for number, point in enumerate(_POINTS) if point.place == PULL}
    yield KillLab(lab, iter(slow_registry.serve(throwaway_hosts, lab.host, pulled).values()))
    throwaway_hosts.destroy(lab.host)


@pytest.fixture
def kill_lab(booted: KillLab) -> KillLab:
    """A home runs, whatever the test before did."""
    booted.settle()
    return booted


def test_there_are_ten_points_of_each_kind() -> None:
    by_kind = Counter(point.kind for point in _POINTS)
    assert set(by_kind) == set(get_args(Kind))
    assert min(by_kind.values()) >= 10


@pytest.mark.parametrize(
    "point",
    [
        pytest.param(point, marks=() if (point.kind, point.place) in _EVERY_TIME else pytest.mark.nightly)
        for point in _POINTS
    ],
    ids=str,
)
def test_the_host_ends_whole_by_itself_and_the_next_apply_is_clean(
    kill_lab: KillLab, point: ApplyPoint
) -> None:
    print(f"seed {SEED}: {point}")
    kill_lab.attempt(point)
