"""A deploy of drivers that is killed anywhere is completed by the next one: as test_kill_anywhere.py, for the cards.

Ten points on packages that stand in for the driver and for CUDA, with slow scripts; three in the real ones.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from pathlib import Path

import pytest

from tests.host import gpu_kill_points, gpu_layers, stand_in_driver
from tests.host.gpu_box import LIMITED, LIMITS
from tests.host.gpu_kill_points import BASE, ENDS, SEED, SLOW_S
from tests.host.hosts import ThrowawayHosts
from tests.host.kill_attempts import Attempts, selected
from tests.host.kill_points import Point
from tests.host.run_stages import RunStages, until_ended
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_POINTS = tuple(gpu_kill_points.points())
_REAL_POINTS = tuple(gpu_kill_points.real_points())
_ADVANCES = {stage: until_ended(operation) for stage, operation in ENDS.items()}


@pytest.fixture(scope="module")
def attempts(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[Point, Future[None]]]:
    host = throwaway_hosts.boot("slow", layer=gpu_layers.with_cards(throwaway_hosts))
    gpu_layers.offer_driver(host, *stand_in_driver.debian_driver(slow_s=SLOW_S))
    host.power_off()
    stages = RunStages(BASE, _ADVANCES, host.save_layer("slow"))
    throwaway_hosts.destroy(host)
    attempts = _attempts(throwaway_hosts, tmp_path_factory.mktemp("gpu-kill"), _POINTS, stages)
    with attempts.under_way(selected(request, test_the_next_run_converges.__name__)) as results:
        yield results


@pytest.fixture(scope="module")
def real_attempts(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Mapping[Point, Future[None]]]:
    """The same in the distribution's own packages, one after the other: a build takes all that the machine has."""
    advances = dict(list(_ADVANCES.items())[:2])
    stages = RunStages(BASE, advances, gpu_layers.with_cards(throwaway_hosts))
    attempts = _attempts(throwaway_hosts, tmp_path_factory.mktemp("gpu-real"), _REAL_POINTS, stages)
    wanted = selected(request, test_the_next_run_converges_with_the_real_driver.__name__)
    with attempts.under_way(wanted, one_by_one=True) as results:
        yield results


def _attempts(hosts: ThrowawayHosts, folder: Path, points: tuple[Point, ...], stages: RunStages) -> Attempts:
    return Attempts(hosts, folder, points, stages, inventory=gpu_layers.inventory_of, holds=_cards_are_ready)


def _cards_are_ready(host: ThrowawayHost) -> None:
    box = gpu_layers.box_on(host, Path())
    assert box.root(LIMITS) == LIMITED
    assert box.has_module_for_next_boot()


def test_there_are_ten_points_of_every_kind_and_three_in_the_real_packages() -> None:
    assert len(_POINTS) >= 10
    assert {point.kind for point in _POINTS} == {"client killed", "cable cut", "power cut"}
    assert len(_REAL_POINTS) == 3


@pytest.mark.parametrize(
    "point",
    [*_POINTS[:10], *(pytest.param(each, marks=pytest.mark.nightly) for each in _POINTS[10:])],
    ids=str,
)
def test_the_next_run_converges(attempts: Mapping[Point, Future[None]], point: Point) -> None:
    print(f"seed {SEED}: {point}")
    attempts[point].result()


@pytest.mark.nightly
@pytest.mark.parametrize("point", _REAL_POINTS, ids=str)
def test_the_next_run_converges_with_the_real_driver(
    real_attempts: Mapping[Point, Future[None]], point: Point
) -> None:
    print(f"seed {SEED}: {point}")
    real_attempts[point].result()
