"""Layers of one fresh run that was cut off just before each of its long parts, made while tests already run."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.cut_off_run import RunningDeploy, dpkg_lines, dpkg_locked
from tests.host.deploying import labctl, write_inventory
from tests.host.disk import Layer
from tests.host.kill_points import STAGES
from tests.host.throwaway_host import ThrowawayHost


@dataclass(frozen=True)
class Stage:
    """layer: None is a bare host. dpkg_lines: how much the next packages will add to dpkg's log."""

    layer: Layer | None
    dpkg_lines: int = 0


class RunStages:
    """Every stage, as soon as it is ready; `make` is for a thread of its own."""

    def __init__(self) -> None:
        self._ready: dict[str, Future[Stage]] = {name: Future() for name in STAGES}
        self._ready[STAGES[0]].set_result(Stage(None))

    def stage(self, name: str) -> Stage:
        """Wait for it. Raises what went wrong while it was made."""
        return self._ready[name].result()

    def make(self, host: ThrowawayHost, folder: Path) -> None:
        """Take a bare host through one run."""
        try:
            self._make(host, write_inventory(folder / "stages.py", host))
        except BaseException as error:
            for stage in self._ready.values():
                if not stage.done():
                    stage.set_exception(error)
            raise

    def _make(self, host: ThrowawayHost, inventory: Path) -> None:
        layer: Layer | None = None
        advances = (_up_to_packages, _only("base"), _only("firewall"), _up_to_podman)
        for name, following, advance in zip(STAGES[:-1], STAGES[1:], advances, strict=True):
            if not host.machine.is_on:
                host.power_on()
            before = dpkg_lines(host)
            advance(host, inventory)
            host.power_cut()
            if layer:
                self._ready[name].set_result(Stage(layer, dpkg_lines(host) - before))
            layer = host.save_layer(following.replace(" ", "-"))
        self._ready[STAGES[-1]].set_result(Stage(layer))


def _up_to_packages(host: ThrowawayHost, inventory: Path) -> None:
    with RunningDeploy(host, inventory, "labctl") as run:
        run.wait_until_ended("base: package database")
        with dpkg_locked(host):
            run.wait_until_ended("base: security updates")
            run.kill()
            host.power_cut()  # before the lock is gone


def _up_to_podman(host: ThrowawayHost, inventory: Path) -> None:
    with RunningDeploy(host, inventory, "labctl") as run:
        run.wait_until_ended("podman: packages")


def _only(role: str) -> Callable[[ThrowawayHost, Path], None]:
    """A run of one role ends with a receipt; a run that was cut off after that role has none yet."""

    def advance(host: ThrowawayHost, inventory: Path) -> None:
        run = labctl("deploy", inventory, "--only", role)
        if run.exit_code != 0:
            raise Failed(f"no stage after {role}", found=run.stdout + run.stderr)
        host.console_run("rm /var/lib/labctl/receipt.json")

    return advance
