"""A deploy that is killed anywhere is completed by the next one, and leaves nothing for a human to repair.

The client is killed, the network cable is cut, the host's power is cut: each at the points of kill_points.py, several
hosts at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.host.cut_off_run import RunningDeploy, dpkg_locked
from tests.host.hosts import ThrowawayHosts
from tests.host.kill_attempts import Attempts, selected
from tests.host.kill_points import SEED, STAGES, Point, points
from tests.host.run_stages import RunStages, only, until_ended
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_POINTS = sorted(points(), key=lambda point: STAGES.index(point.stage))
# All are ten minutes of two cores: every time what comes after a cut, and a power cut in mid-work; at night all.
_EVERY_TIME = {point for number, point in enumerate(points()) if point.then or number == 28}


@pytest.fixture(scope="module")
def attempts(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[Point, Future[None]]]:
    advances = (_up_to_packages, only("base"), only("firewall"), until_ended("podman: packages"))
    stages = RunStages(STAGES[0], dict(zip(STAGES[1:], advances, strict=True)))
    folder = tmp_path_factory.mktemp("kill-anywhere")
    with Attempts(throwaway_hosts, folder, _POINTS, stages).under_way(
        selected(request, test_the_next_run_converges.__name__)
    ) as results:
        yield results


def test_there_are_ten_points_of_each_kind() -> None:
    kinds = [point.kind for point in _POINTS]
    assert {kind: kinds.count(kind) >= 10 for kind in kinds} == {
        "client killed": True,
        "cable cut": True,
        "power cut": True,
    }


@pytest.mark.parametrize(
    "point",
    [pytest.param(point, marks=() if point in _EVERY_TIME else pytest.mark.nightly) for point in _POINTS],
    ids=str,
)
def test_the_next_run_converges(attempts: Mapping[Point, Future[None]], point: Point) -> None:
    print(f"seed {SEED}: {point}")
    attempts[point].result()


def _up_to_packages(host: ThrowawayHost, inventory: Path) -> None:
    with RunningDeploy(host, inventory, "labctl") as run:
        run.wait_until_ended("base: package database")
        with dpkg_locked(host):
            run.wait_until_ended("base: security updates")
            run.kill()
            host.power_cut()  # before the lock is gone
