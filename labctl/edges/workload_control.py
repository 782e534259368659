"""Starts and stops workloads of a host through its systemd, and waits until they are healthy, or gone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from labctl.apply.survey import Seen
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_statuses import output_of, plan_of
from labctl.edges.shell_programs import ShellPrograms
from labctl.errors import Failed
from labctl.plan.plan import Plan, PlannedWorkload
from labctl.status import choice, question
from labctl.status.choice import Verb
from labctl.status.host import containers
from labctl.status.question import Now, UnitNow
from labctl.status.states import is_begun
from labctl.transaction.decision import SETTLE_SECONDS, UnitSeen, judge
from labctl.transaction.manifest import ManagedUnit
from labctl.transaction.services import Services

_POLL_SECONDS = 0.5
_STILL_SECONDS = 15.0
Outcome = Literal["started", "stopped", "restarted", "unchanged", "failed"]


@dataclass
class Done:
    """What became of one workload. said: notes and reasons. log: the last lines of a unit that did not come up."""

    workload: str
    host: str
    outcome: Outcome
    said: list[str] = field(default_factory=list)
    log: list[str] = field(default_factory=list)


@dataclass
class _Watched:
    unit: ManagedUnit
    before: str
    since: float
    begun_at: float | None = None
    up_since: float | None = None
    said_at: float = 0.0


class Control:
    """Of one host with a generation in force. say: is called with a line for each step."""

    def __init__(self, host: str, shell: HeldShell, seen: Seen, say: Callable[[str], object]) -> None:
        assert seen.generation is not None, host
        self._host, self._shell, self._say = host, shell, say
        self._programs = ShellPrograms(shell)
        self._services = Services(self._programs)
        self._seen = seen
        self.plan: Plan = plan_of(seen, host)
        self.units = containers(seen.generation, self.plan)

    @property
    def workloads(self) -> Mapping[str, PlannedWorkload]:
        """Those in force here."""
        return {name: self.plan.workloads[name] for name in self.units}

    def do(self, verb: Verb, wanted: tuple[str, ...]) -> list[Done]:
        """Do it to these. Raises Failed while an apply is under way, AnswerIsNo for what would end a job."""
        if self._seen.running:
            raise Failed(
                "an apply is under way on this host",
                where=self._host,
                found=self._seen.running,
                hint="run the same again when it is over",
            )
        now = self._now(tuple(self.units))
        running = {name for name in self.units if self._is_begun(name, now)}
        choice.refuse_displaced(verb, wanted, self.workloads, running)
        done = {name: Done(name, self._host, "unchanged") for name in wanted}
        for name in wanted:
            for note in choice.notes(verb, name, self.workloads, running, wanted):
                done[name].said.append(note)
        if verb == "stop":
            self._stop([name for name in wanted if not self._is_down(name, now)], done)
        else:
            todo = [name for name in wanted if verb == "restart" or not self._is_up(name, now)]
            self._bring_up(verb, todo, now, done)
        return list(done.values())

    def _stop(self, todo: list[str], done: dict[str, Done]) -> None:
        if todo:
            self._say(f"stop: {', '.join(todo)}")
            self._services.stop([unit for name in todo for unit in self.units[name]])
        for name in todo:
            done[name].outcome = "stopped"

    def _bring_up(self, verb: Verb, todo: list[str], now: Now, done: dict[str, Done]) -> None:
        if not todo:
            return
        # In one command, so that all of it happens whatever becomes of this side; systemd knows the order.
        units = [unit for name in todo for unit in self.units[name]]
        stopped = [unit for unit in units if verb == "restart" or now.units[unit.unit].active != "active"]
        self._say(f"{verb}: {', '.join(todo)}")
        began = self._programs.run(["systemctl", verb, "--no-block", "--", *(unit.unit for unit in stopped)])
        if began.status:
            raise Failed(f"systemd does not {verb} it", where=self._host, found=began.said)
        failed = self._wait(stopped, now)
        for name in todo:
            bad = [unit for unit in self.units[name] if unit.unit in failed]
            done[name].outcome = "failed" if bad else "restarted" if verb == "restart" else "started"
            for unit in bad:
                done[name].said.append(f"{unit.name}: {failed[unit.unit]}")
                done[name].log += self._services.last_lines(unit.unit, f"@{now.at}")

    def _wait(self, units: list[ManagedUnit], before: Now) -> dict[str, str]:
        """Until each is healthy, or will not be: then why, by unit."""
        clock = self._programs.seconds
        watched = {unit.unit: _Watched(unit, before.units[unit.unit].invocation, clock()) for unit in units}
        failed: dict[str, str] = {}
        while watched:
            now = self._ask([each.unit for each in watched.values()])
            for name, each in list(watched.items()):
                verdict = self._judge(each, now.units[name], now.health(each.unit.container), clock())
                if verdict == "waiting":
                    self._still(each, clock())
                    continue
                del watched[name]
                if verdict == "healthy":
                    self._say(f"healthy: {each.unit.name} ({clock() - each.since:.0f} s)")
                else:
                    failed[name] = verdict
                    self._say(f"failed: {each.unit.name}: {verdict}")
            if watched:
                self._programs.sleep(_POLL_SECONDS)
        return failed

    def _judge(self, each: _Watched, seen: UnitNow, health: str | None, now: float) -> str:
        if each.begun_at is None:
            # Until systemd begins it, it waits for others, and for its cards: that is not its own time.
            if seen.invocation == each.before and (seen.queued or now - each.since < SETTLE_SECONDS):
                return "waiting"
            each.begun_at = now
        if seen.kind == "oneshot" and seen.active in ("activating", "inactive") and seen.result == "success":
            return "healthy"  # a job: it works, or has done so
        each.up_since = (each.up_since or now) if seen.active in ("active", "reloading") else None
        as_seen = UnitSeen(seen.load, seen.active, seen.result, seen.restarts, seen.queued)
        up_seconds = None if each.up_since is None else now - each.up_since
        return judge(each.unit, as_seen, health, up_seconds, now - each.begun_at)

    def _still(self, each: _Watched, now: float) -> None:
        if now - max(each.since, each.said_at) < _STILL_SECONDS:
            return
        each.said_at = now
        seconds, most = now - each.since, each.unit.start_timeout_seconds
        if each.begun_at is None:
            self._say(f"wait: {each.unit.name}, until those before it are healthy or have loaded")
        else:
            self._say(f"wait: {each.unit.name}, {seconds:.0f} of {most} s")

    def _is_begun(self, name: str, now: Now) -> bool:
        return is_begun(now.units[self.units[name][0].unit])

    def _is_up(self, name: str, now: Now) -> bool:
        """All of it runs and is healthy; what only waits to be tried again is not."""
        seen = [(unit, now.units[unit.unit]) for unit in self.units[name]]
        return all(
            each.active == "active" or (each.kind == "oneshot" and each.active == "activating")
            for _, each in seen
        ) and all(now.health(unit.container) != "unhealthy" for unit, _ in seen)

    def _is_down(self, name: str, now: Now) -> bool:
        return not any(
            each.queued or each.active not in ("inactive", "failed")
            for each in (now.units[unit.unit] for unit in self.units[name])
        )

    def _now(self, wanted: tuple[str, ...]) -> Now:
        return self._ask([unit for name in wanted for unit in self.units[name]])

    def _ask(self, units: list[ManagedUnit]) -> Now:
        asked = question.Asked(
            tuple(unit.unit for unit in units), tuple(str(unit.container) for unit in units)
        )
        return question.parse(output_of(self._shell, question.script(asked, cards=False)))
