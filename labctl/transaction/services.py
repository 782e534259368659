"""The units of this host, asked and told through systemctl, podman and journalctl."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Sequence

from labctl.errors import Failed
from labctl.mask import MASK
from labctl.transaction.decision import UnitSeen
from labctl.transaction.manifest import ManagedUnit
from labctl.transaction.programs import Programs

_PROPERTIES = "LoadState,ActiveState,Result,NRestarts,Job"
_SECRET_LENGTH = 6
"""A shorter secret would mask half of a log, and guards nothing."""
_POLL_SECONDS = 0.5
_ASK_AGAIN_SECONDS = 2.0
_STOP_GRACE_SECONDS = 30
"""What Podman takes to remove a container, on a machine that is busy."""
_NOT_DOWN = ("active", "reloading", "activating", "deactivating")
PODMAN_EVENT = re.compile(r"^\d{4}-\d\d-\d\d \S+ \S+ \S+ m=\+\S+ ")
_UP = ("active", "reloading", "activating")


class Services:
    """Thin over the programs; it decides nothing."""

    def __init__(self, programs: Programs) -> None:
        self._programs = programs

    def seen(self, units: Sequence[str]) -> dict[str, UnitSeen]:
        """The state of each unit; one that systemd does not know has load state not-found."""
        if not units:
            return {}
        # One block per unit, in the order asked.
        done = self._programs.run(["systemctl", "show", "--property", _PROPERTIES, "--", *units])
        blocks = [block for block in done.stdout.strip().split("\n\n") if block.strip()]
        if done.status or len(blocks) != len(units):
            raise Failed("systemd does not say what runs", where="systemctl show", found=done.said)
        return {unit: _unit(block) for unit, block in zip(units, blocks, strict=True)}

    def up(self, units: Sequence[str]) -> list[str]:
        """Those that run, or are about to."""
        return [unit for unit, seen in self.seen(units).items() if seen.active in _UP]

    def not_down(self, units: Sequence[ManagedUnit]) -> list[ManagedUnit]:
        """Those that run, or are on their way up or down."""
        states = self.seen([unit.unit for unit in units])
        return [unit for unit in units if _is_about(states[unit.unit])]

    def stop(self, units: Sequence[ManagedUnit]) -> None:
        """Stop them, all at once; harmless for what does not run. Networks go: a new one may be another.

        Raises Failed when one is still there after its time and a kill.
        """
        before = self.seen([unit.unit for unit in units])
        loaded = {unit.unit: unit for unit in units if before[unit.unit].load != "not-found"}
        if loaded:
            self._programs.run(["systemctl", "stop", "--no-block", "--", *loaded])
            seconds = max(unit.stop_timeout_seconds for unit in loaded.values())
            # A container that never got healthy is asked by a signal and, where it does not listen, waited for 90 s by
            # systemd; one that runs is ended by Podman, which takes its own time for what comes after.
            if any(before[name].is_up for name in loaded):
                seconds += _STOP_GRACE_SECONDS
            left = self._wait_until_down(list(loaded), seconds)
            if left:
                self._programs.run(["systemctl", "kill", "--signal=SIGKILL", "--", *left])
                left = self._wait_until_down(left, _STOP_GRACE_SECONDS)
            if left:
                raise Failed("does not stop", where=", ".join(left), hint=_look(left[0]))
            self._programs.run(["systemctl", "reset-failed", "--", *loaded])  # fails where nothing had failed
        for unit in units:
            if unit.kind == "network" and unit.network:
                self._remove_network(unit.network)

    def _wait_until_down(self, units: list[str], seconds: float) -> list[str]:
        """Wait; returns those that are not down in time. What a job brings back as it ends is told again to stop."""
        asked = self._programs.seconds()
        deadline = asked + seconds
        while True:
            left = [name for name, seen in self.seen(units).items() if _is_about(seen)]
            if not left or self._programs.seconds() >= deadline:
                return left
            if self._programs.seconds() - asked >= _ASK_AGAIN_SECONDS:
                self._programs.run(["systemctl", "stop", "--no-block", "--", *left])
                asked = self._programs.seconds()
            self._programs.sleep(_POLL_SECONDS)

    def start(self, units: Sequence[str]) -> None:
        """Begin to start them. Whether they come up is seen later."""
        if units:
            done = self._programs.run(["systemctl", "start", "--no-block", "--", *units])
            if done.status:
                raise Failed("cannot be started", where=", ".join(units), found=done.said)

    def reload(self) -> None:
        """Let systemd, and Quadlet's generator with it, read the units again."""
        done = self._programs.run(["systemctl", "daemon-reload"])
        if done.status:
            raise Failed(
                "systemd does not read its units again", where="systemctl daemon-reload", found=done.said
            )

    def container_health(self, units: Iterable[ManagedUnit]) -> dict[str, str]:
        """healthy, starting or unhealthy for each unit whose container has a health check and is there."""
        asked = {unit.container: unit.unit for unit in units if unit.container and unit.health == "podman"}
        found = {}
        for container, unit in asked.items():
            done = self._programs.run(
                ["podman", "container", "inspect", "--format", "{{.State.Health.Status}}", "--", container]
            )
            if done.status == 0:
                found[unit] = done.stdout.strip()
        return found

    def is_stopping(self) -> bool:
        """The host is on its way down: nothing can be started any more."""
        return self._programs.run(["systemctl", "is-system-running"]).stdout.strip() == "stopping"

    def last_lines(self, unit: str, since: str, count: int = 12) -> list[str]:
        """The end of a unit's journal, without the values of Podman's secrets."""
        done = self._programs.run(
            [
                "journalctl",
                "--quiet",
                "--output=cat",
                f"--lines={count}",
                f"--since={since}",
                f"--unit={unit}",
            ]
        )
        lines = [line[:400] for line in done.stdout.splitlines() if line.strip()]
        lines = [line for line in lines if not PODMAN_EVENT.match(line)][-count:]
        secrets = self.secret_values()
        if secrets is None:
            return [f"(not shown, for the secrets in it cannot be told: {_look(unit)})"]
        return [masked(line, secrets) for line in lines]

    def secret_values(self) -> list[str] | None:
        """What no log may show, the longest first; None where Podman does not tell."""
        listed = self._programs.run(["podman", "secret", "ls", "--format", "{{.Name}}"])
        names = listed.stdout.split()
        if listed.status or not names:
            return None if listed.status else []
        done = self._programs.run(["podman", "secret", "inspect", "--showsecret", "--", *names])
        try:
            values = [str(each["SecretData"]) for each in json.loads(done.stdout)]
        except (ValueError, KeyError, TypeError):
            return None
        parts = {part for value in values for part in (value, *value.splitlines())}
        return sorted((part for part in parts if len(part) >= _SECRET_LENGTH), key=len, reverse=True)

    def remove_networks_but(self, kept: Collection[str]) -> list[str]:
        """Remove the networks of workloads that are none of `kept`; what cannot be removed, and why.

        A power cut leaves some: at boot only files are put back, and Podman writes its networks down for good.
        """
        listed = self._programs.run(
            ["podman", "network", "ls", "--filter", "label=labctl.workload", "--format", "{{.Name}}"]
        )
        left = []
        for name in sorted({*listed.stdout.split()} - {*kept}):
            try:
                self._remove_network(name)
            except Failed as problem:
                left.append(str(problem))
        return left

    def _remove_network(self, name: str) -> None:
        if self._programs.run(["podman", "network", "exists", name]).status:
            return
        done = self._programs.run(["podman", "network", "rm", name])
        if done.status:
            raise Failed("Podman's network cannot be removed", where=name, found=done.said)


def masked(line: str, secrets: Iterable[str]) -> str:
    """The line without what nobody should read."""
    for secret in secrets:
        line = line.replace(secret, MASK)
    return line


def _is_about(seen: UnitSeen) -> bool:
    return seen.queued or seen.active in _NOT_DOWN


def _unit(block: str) -> UnitSeen:
    values = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
    return UnitSeen(
        load=values.get("LoadState", "not-found"),
        active=values.get("ActiveState", "inactive"),
        result=values.get("Result", "success"),
        restarts=int(values.get("NRestarts") or 0),
        queued=values.get("Job", "0") not in ("", "0"),
    )


def _look(unit: str) -> str:
    return f"journalctl -u {unit}"
