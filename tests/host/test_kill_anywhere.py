"""A deploy that is killed anywhere is completed by the next one, and leaves nothing for a human to repair.

The client is killed, the network cable is cut, the host's power is cut: each at the points of kill_points.py, several
hosts at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

import pytest

from tests.host.cut_off_run import RunningDeploy
from tests.host.deploying import labctl, pyinfra, write_inventory
from tests.host.disk import Layer
from tests.host.hosts import ThrowawayHosts
from tests.host.kill_points import SEED, STAGES, Point, points
from tests.host.run_stages import RunStages
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host

_AT_ONCE = 4
_SILENCE_IS_NOTICED_WITHIN_S = 180  # it takes 40; this is for a busy machine
_POINTS = sorted(points(), key=lambda point: STAGES.index(point.stage))
_LEFT_OVER = """
export LC_ALL=C
dpkg --audit
find / -xdev -name '*.labctl-new' 2>/dev/null
systemctl list-units --no-legend --plain 'labctl-*undo*' 'labctl-apt*'
systemctl --failed --no-legend --plain
"""


@dataclass(frozen=True)
class Workshop:
    """What every attempt works with. boots: one host at a time gets its name and address."""

    hosts: ThrowawayHosts
    folder: Path
    stages: RunStages
    boots: Lock

    def boot(self, name: str, layer: Layer | None = None) -> ThrowawayHost:
        with self.boots:
            return self.hosts.boot(name, layer=layer)

    def destroy(self, host: ThrowawayHost) -> None:
        with self.boots:
            self.hosts.destroy(host)


@pytest.fixture(scope="module")
def workshop(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    return Workshop(throwaway_hosts, tmp_path_factory.mktemp("kill-anywhere"), RunStages(), Lock())


@pytest.fixture(scope="module")
def attempts(workshop: Workshop, request: pytest.FixtureRequest) -> Iterator[Mapping[Point, Future[None]]]:
    """What becomes of each selected point, worked out several at a time while the tests wait for their own."""
    selected = {
        item.callspec.params["point"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    }
    with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(_AT_ONCE) as pool:
        builder.submit(workshop.stages.make, workshop.boot("stages"), workshop.folder)
        yield {point: pool.submit(_attempt, workshop, point) for point in _POINTS if point in selected}
        pool.shutdown(cancel_futures=True)


def test_there_are_ten_points_of_each_kind() -> None:
    kinds = [point.kind for point in _POINTS]
    assert {kind: kinds.count(kind) >= 10 for kind in kinds} == {
        "client killed": True,
        "cable cut": True,
        "power cut": True,
    }


@pytest.mark.parametrize("point", _POINTS, ids=str)
def test_the_next_run_converges(attempts: Mapping[Point, Future[None]], point: Point) -> None:
    print(f"seed {SEED}: {point}")
    attempts[point].result()


def _attempt(workshop: Workshop, point: Point) -> None:
    stage = workshop.stages.stage(point.stage)
    host = workshop.boot(f"kill-{_POINTS.index(point)}", stage.layer)
    inventory = write_inventory(workshop.folder / f"{host.name}.py", host)
    with RunningDeploy(host, inventory, point.client) as run:
        run.wait_until_ended(point.after)
        if point.share is not None:
            run.wait_until_dpkg_wrote(round(point.share * stage.dpkg_lines))
        run.go_on(point.seconds)
        _cut_off(run, point)
    if point.then == "again":
        with RunningDeploy(host, inventory, point.client) as run:
            run.wait_until_it_waits_for_apt()
            run.kill()
    _converges(host, inventory, point)
    workshop.destroy(host)


def _cut_off(run: RunningDeploy, point: Point) -> None:
    match point.kind:
        case "client killed":
            run.kill()
        case "cable cut":
            run.host.cut_cable()
            if point.then == "left alone":
                _notices_by_itself(run)
            run.kill()
            run.host.restore_cable()
        case "power cut":
            run.host.power_cut()
            run.kill()
            run.host.power_on()


def _notices_by_itself(run: RunningDeploy) -> None:
    """Nobody answers any more: it says so in one line, with what to do, and ends."""
    exit_code = run.process.wait(_SILENCE_IS_NOTICED_WITHIN_S)
    lines = [line for line in run.output.splitlines() if "the connection broke" in line]
    assert exit_code == 1, run.output
    assert lines, run.output
    assert "run the same command" in run.output
    assert "Traceback" not in run.output


def _converges(host: ThrowawayHost, inventory: Path, point: Point) -> None:
    if point.client == "pyinfra":
        deploy = pyinfra(inventory, "deploy/gpu_host.py", "-y")
    else:
        deploy = labctl("deploy", inventory)
    assert deploy.exit_code == 0, f"{point}:\n{deploy.stdout}{deploy.stderr}"
    check = labctl("check", inventory)
    assert check.exit_code == 0, f"{point}:\n{check.stdout}{check.stderr}"
    assert host.console_run(_LEFT_OVER).stdout == "", point
    verify = labctl("verify", inventory)
    assert verify.exit_code == 0, f"{point}:\n{verify.stdout}{verify.stderr}"
