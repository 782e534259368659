"""Layers of one run that was cut off just before each of its long parts, made while tests already run."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host.cut_off_run import RunningDeploy, dpkg_log
from tests.host.deploying import labctl
from tests.host.disk import Layer
from tests.host.throwaway_host import ThrowawayHost

_TIMEOUT_S = 900
Advance = Callable[[ThrowawayHost, Path], None]
"""Takes a host that is on, with its inventory, from one stage to the next."""


@dataclass(frozen=True)
class Stage:
    """layer: None is a bare host. dpkg_lines: how much the next packages will add to dpkg's log."""

    layer: Layer | None
    dpkg_lines: int = 0


class RunStages:
    """Every stage, as soon as it is ready; `make` is for a thread of its own.

    first: the name of where the run begins, on `layer`. advances: the stages after it, each with what leads to it.
    """

    def __init__(self, first: str, advances: Mapping[str, Advance], layer: Layer | None = None) -> None:
        self._first, self._advances, self.origin = first, advances, layer
        self._ready: dict[str, Future[Stage]] = {name: Future() for name in (first, *advances)}
        self._ready[first].set_result(Stage(layer))

    def stage(self, name: str) -> Stage:
        """Wait for it. Raises what went wrong while it was made."""
        return self._ready[name].result()

    def make(self, host: ThrowawayHost, inventory: Path) -> None:
        """Take a host, as the first stage is, through one run."""
        try:
            self._make(host, inventory)
        except BaseException as error:
            for stage in self._ready.values():
                if not stage.done():
                    stage.set_exception(error)
            raise

    def _make(self, host: ThrowawayHost, inventory: Path) -> None:
        reached, layer = self._first, self.origin
        for following, advance in self._advances.items():
            if not host.machine.is_on:
                host.power_on()
            before = dpkg_log(host)
            advance(host, inventory)
            host.power_cut()
            if reached != self._first:
                self._ready[reached].set_result(
                    Stage(layer, dpkg_log(host).removeprefix(before).count(b"\n"))
                )
            reached, layer = following, host.save_layer(following.replace(" ", "-"))
        self._ready[reached].set_result(Stage(layer))


def until_ended(operation: str) -> Advance:
    """A run that is cut off when this operation is over."""

    def advance(host: ThrowawayHost, inventory: Path) -> None:
        with RunningDeploy(host, inventory, "labctl") as run:
            run.wait_until_ended(operation)

    return advance


def only(*roles: str) -> Advance:
    """A run of some roles ends with a receipt; a run that was cut off after them has none yet."""

    def advance(host: ThrowawayHost, inventory: Path) -> None:
        options = [word for role in roles for word in ("--only", role)]
        run = labctl("deploy", inventory, *options, timeout_s=_TIMEOUT_S)
        if run.exit_code != 0:
            raise Failed(f"no stage after {', '.join(roles)}", found=run.stdout + run.stderr)
        host.console_run("rm /var/lib/labctl/receipt.json")

    return advance
