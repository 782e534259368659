"""A deploy that is cut off at a point, and what the next one makes of it; several hosts at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

import pytest

from labctl.hoststate.reboot import ASKED
from tests.host.cut_off_run import RunningDeploy
from tests.host.deploying import labctl, pyinfra, write_inventory
from tests.host.disk import Layer
from tests.host.gpu_box import UNFINISHED
from tests.host.hosts import ThrowawayHosts
from tests.host.kill_points import Point
from tests.host.run_stages import RunStages
from tests.host.throwaway_host import ThrowawayHost

_AT_ONCE = 4
_SILENCE_IS_NOTICED_WITHIN_S = 180  # it takes 40; this is for a busy machine
_GOES_WITHIN_S = 30  # a host that was asked to reboot
_DEPLOY_TIMEOUT_S = 1800
_LEFT_OVER = """
export LC_ALL=C
dpkg --audit
find / -xdev \\( -name '*.labctl-new' -o -name 'labctl-trial.*' \\) 2>/dev/null
systemctl list-units --no-legend --plain 'labctl-*undo*' 'labctl-apt*'
systemctl --failed --no-legend --plain
"""


def selected(request: pytest.FixtureRequest, test: str) -> set[Point]:
    """The points that this run of pytest wants of a test."""
    items = (item for item in request.session.items if isinstance(item, pytest.Function))
    mine = (item for item in items if item.path == request.path and item.originalname == test)
    return {point for item in mine if isinstance(point := item.callspec.params["point"], Point)}


@dataclass(frozen=True)
class Attempts:
    """What every attempt works with.

    inventory: writes one of a host. holds: fails where something more than for every deploy does not hold in the end.
    boots: one host at a time gets its name and address. booted: all that did.
    """

    hosts: ThrowawayHosts
    folder: Path
    points: Sequence[Point]
    stages: RunStages
    inventory: Callable[[Path, ThrowawayHost], Path] = write_inventory
    holds: Callable[[ThrowawayHost], None] = lambda _: None
    boots: Lock = field(default_factory=Lock)
    booted: list[ThrowawayHost] = field(default_factory=list)

    @contextmanager
    def under_way(
        self, wanted: set[Point], *, one_by_one: bool = False
    ) -> Iterator[Mapping[Point, Future[None]]]:
        """What becomes of each wanted point, worked out several at a time while the tests wait for their own."""
        with ThreadPoolExecutor(1) as builder, ThreadPoolExecutor(1 if one_by_one else _AT_ONCE) as pool:
            host = self._boot("stages", self.stages.origin)
            stages = builder.submit(self.stages.make, host, self._inventory(host))
            if one_by_one:
                stages.result()
            yield {point: pool.submit(self._attempt, point) for point in self.points if point in wanted}
            pool.shutdown(cancel_futures=True)
            stages.exception()  # wait for it; what went wrong there, the attempts said
        for left in self.hosts:
            if left in self.booted:  # another module's attempts take the same names
                self.hosts.destroy(left)

    def _attempt(self, point: Point) -> None:
        stage = self.stages.stage(point.stage)
        host = self._boot(f"kill-{self.points.index(point)}", stage.layer)
        inventory = self._inventory(host)
        with RunningDeploy(host, inventory, point.client) as run:
            run.wait_until_ended(point.after)
            if point.share is not None:
                run.wait_until_dpkg_wrote(round(point.share * stage.dpkg_lines))
            if point.dpkg:
                run.wait_until_dpkg_says(point.dpkg)
            run.go_on(point.seconds)
            _cut_off(run, point)
        if point.then == "again":
            with RunningDeploy(host, inventory, point.client) as run:
                run.wait_until_it_waits_for_apt()
                run.kill()
        self._converges(host, inventory, point)
        with self.boots:
            self.hosts.destroy(host)

    def _converges(self, host: ThrowawayHost, inventory: Path, point: Point) -> None:
        if point.client == "pyinfra":
            deploy = pyinfra(inventory, "deploy/gpu_host.py", "-y", timeout_s=_DEPLOY_TIMEOUT_S)
        else:
            deploy = labctl("deploy", inventory, timeout_s=_DEPLOY_TIMEOUT_S)
        assert deploy.exit_code == 0, f"{point}:\n{deploy.stdout}{deploy.stderr}"
        check = labctl("check", inventory)
        assert check.exit_code == 0, f"{point}:\n{check.stdout}{check.stderr}"
        assert host.console_run(_LEFT_OVER).stdout == "", point
        self.holds(host)
        verify = labctl("verify", inventory)
        assert verify.exit_code == 0, f"{point}:\n{verify.stdout}{verify.stderr}"

    def _boot(self, name: str, layer: Layer | None) -> ThrowawayHost:
        with self.boots:
            host = self.hosts.boot(name, layer=layer)
            self.booted.append(host)
            return host

    def _inventory(self, host: ThrowawayHost) -> Path:
        return self.inventory(self.folder / f"{host.name}.py", host)


def _cut_off(run: RunningDeploy, point: Point) -> None:
    match point.kind:
        case "client killed":
            run.kill()
            _let_it_reboot(run.host)
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
            if point.dpkg:
                assert run.host.console_run(UNFINISHED).stdout, f"{point}: dpkg was not at work"


def _let_it_reboot(host: ThrowawayHost) -> None:
    """A host that was asked to goes two seconds later: sooner than anybody deploys again."""
    until = time.monotonic() + _GOES_WITHIN_S
    time.sleep(0.5)  # what was asked last may not have arrived
    # 1 is the answer of a host that runs; one that goes or comes gives none.
    asked = f"test -e {ASKED}"
    while host.console_run(asked, check=False).returncode != 1 and time.monotonic() < until:
        time.sleep(0.2)
    host.wait_for_ssh()


def _notices_by_itself(run: RunningDeploy) -> None:
    """Nobody answers any more: it says so in one line, with what to do, and ends."""
    exit_code = run.process.wait(_SILENCE_IS_NOTICED_WITHIN_S)
    lines = [line for line in run.output.splitlines() if "the connection broke" in line]
    assert exit_code == 1, run.output
    assert lines, run.output
    assert "run the same command" in run.output
    assert "Traceback" not in run.output
