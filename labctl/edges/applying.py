"""A host taken to a plan, or back to an earlier generation: looked at, compared, and only then begun."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from labctl.apply import plan_refusals, refusals, survey
from labctl.apply.changes import GenerationChange, changes
from labctl.apply.generation import Generation
from labctl.apply.survey import Seen
from labctl.apply.written import missing, written
from labctl.edges import catalog
from labctl.edges.held_shell import CommandTimeout, ConnectionLost, HeldShell
from labctl.edges.host_models import HostModels
from labctl.edges.host_secrets import HostSecrets
from labctl.edges.host_transactions import Followed, HostTransactions
from labctl.edges.looking import begin_look
from labctl.edges.rendering import render_for
from labctl.edges.transaction_program import unit_of
from labctl.errors import BadInput, Failed, LabctlError
from labctl.plan.plan import Plan
from labctl.render.host import MODELS, HostFacts
from labctl.render.model_need import needed_models
from labctl.render.render import NeededSecret
from labctl.rig.gpu import Gpu
from labctl.transaction.manifest import ManagedUnit, stage_id
from labctl.workloads.workload import Workload

RECONNECT_SECONDS = (1, 2, 4, 8, 15, 30)
"""What is waited before each try: a laptop that changed its network is back within the minute."""


@dataclass(frozen=True)
class Target:
    """Where a host is to go, and what that takes.

    instance: of a generation that the host has; None for one that is to be staged. refusals: why not; nothing may begin
    then. secrets: what units need; given: values of those, by name. new_secrets: those that are not there yet;
    renewed: those whose value is another now, which units learn when they start.
    """

    host: str
    seen: Seen
    generation: Generation
    change: GenerationChange
    instance: str | None = None
    refusals: tuple[LabctlError, ...] = ()
    notes: tuple[str, ...] = ()
    secrets: tuple[NeededSecret, ...] = ()
    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    new_secrets: tuple[str, ...] = ()
    renewed: tuple[NeededSecret, ...] = ()

    @property
    def is_none(self) -> bool:
        """All is as wanted: nothing is staged, nothing touched."""
        return self.change.is_none and not (self.new_secrets or self.renewed)

    def to_renew(self, told: Mapping[str, Any]) -> list[ManagedUnit]:
        """Units that run with an old secret. told: the transaction's result, which names those that it touched."""
        touched = {*told["started"], *told["changed"], *told["added"]}
        names = [secret.name for secret in self.renewed]
        return [
            unit
            for unit in self.generation.manifest.units
            if unit.unit not in touched
            and unit.unit in self.seen.up
            and any(f"Secret={name}," in self.generation.text(unit.files[0]) for name in names)
        ]


@dataclass(frozen=True)
class Begun:
    """A transaction that runs. since: the place in the host's journal from which it can be followed."""

    target: Target
    instance: str
    since: str


class HostApply:
    """One host, through the root shell on it."""

    def __init__(self, host: str, shell: HeldShell, models_folder: str = MODELS) -> None:
        self._host = host
        self._shell = shell
        self._models = HostModels(host, shell, models_folder)
        self._transactions = HostTransactions(host, shell)
        self._secrets = HostSecrets(host, shell)

    def look(self) -> Seen:
        """What is there. One remote command, which changes nothing."""
        return begin_look(self._shell)()

    def to_plan(self, plan: Plan, host: str, seen: Seen, workloads: Iterable[Workload] = ()) -> Target:
        """host: what the plan calls it. workloads: for secrets that the plan leaves out.

        Raises BadInput for a plan that cannot be rendered, AnswerIsNo for a host without a Podman that runs it.
        """
        facts = HostFacts(
            podman=refusals.podman_of(seen, self._host),
            cores=seen.cores,
            time_zone=seen.time_zone,
            models_folder=self._models.folder,
            secrets=seen.secrets,
        )
        rendered = render_for(plan, host, facts)
        places = rendered.model_files
        services = {service.name: service for service in catalog.services()}
        here = [name for name, planned in plan.workloads.items() if planned.host == host]
        models = needed_models(plan, services, here)
        present = self._models.present({each.place for each in models}) if models else frozenset()
        if first_parts := self._models.loaded_as(places) if places else {}:
            rendered = render_for(plan, host, replace(facts, model_files=first_parts))
        new = Generation(
            rendered.manifest, {file.path: rendered.files[file.path] for file in rendered.manifest.files}
        )
        change = changes(new, seen.generation, seen.installed, seen.up)
        starting = {unit.name for unit in change.starting}
        given = written(rendered.secrets, workloads)
        gpus = {gpu.name: gpu for gpu in _gpus(plan)}
        return Target(
            self._host,
            seen,
            new,
            change,
            refusals=tuple(refusals.of_running(seen, self._host, stage_id(new.manifest.text())))
            or (
                *missing(rendered.secrets, given, seen.secrets),
                *refusals.of_cards(plan, host, seen, gpus, services),
                *refusals.of_models(models, present, starting),
                *plan_refusals.of_devices(plan, host, seen, starting),
                *refusals.of_generation(seen, new, change.starting),
            ),
            notes=(*refusals.notes(seen, new), *plan_refusals.notes(plan, host)),
            secrets=rendered.secrets,
            given=given,
            new_secrets=tuple(each.name for each in rendered.secrets if each.name not in seen.secrets),
            renewed=self._renewed(rendered.secrets, given, seen),
        )

    def to_generation(self, seen: Seen, number: int | None) -> Target:
        """number: None for the one before. Raises BadInput where it is not there."""
        status = seen.status or {}
        there = {each["number"]: each for each in status.get("generations", ())}
        current = status.get("current")
        wanted = number if number is not None else there.get(current, {}).get("parent")
        packed = self._shell.run(survey.fetching(wanted)).stdout.decode() if wanted in there else ""
        new = survey.generation(packed)
        if wanted is None or new is None:
            what = "there is no earlier generation" if number is None else "there is no such generation"
            have = ", ".join(map(str, there)) or "none"
            raise BadInput(
                what, where=self._host, found=str(number or current or "none"), expected=f"one of: {have}",
                hint="labctl rollback --list shows them",
            )  # fmt: skip
        change = changes(new, seen.generation, seen.installed, seen.up)
        instance = f"generation-{wanted}"
        return Target(
            self._host,
            seen,
            new,
            change,
            instance=instance,
            refusals=tuple(refusals.of_running(seen, self._host, instance))
            or tuple(refusals.of_generation(seen, new, change.starting)),
            notes=tuple(refusals.notes(seen, new)),
        )

    def begin(self, target: Target) -> Begun:
        """Make what secrets are missing, stage, and start the host's own unit, which goes on without us."""
        if target.secrets:
            self._secrets.make(target.secrets, target.given)
        if target.instance is None:
            instance = self._transactions.stage(target.generation.manifest, target.generation.files)
        else:
            instance = target.instance
            self._transactions.prepare()
        try:
            since = self._transactions.start(instance)
        except ConnectionLost:  # whether it runs is seen when there is a connection again
            since = ""
        return Begun(target, instance, since)

    def follow(self, begun: Begun, say: Callable[[str], object]) -> Followed:
        """Call `say` with each line of the host's, until it is over; over a new connection where one broke.

        Raises Failed where there is none any more.
        """
        tries = list(RECONNECT_SECONDS)
        said = 0
        while True:
            told = _Told(say, skip=said)
            try:
                return self._transactions.follow(begun.instance, told, begun.since)
            except (ConnectionLost, CommandTimeout) as problem:
                if told.lines > said:
                    tries = list(RECONNECT_SECONDS)
                said = max(said, told.lines)
                if not tries:
                    raise _gone(self._host, begun.instance, problem) from problem
                seconds = tries.pop(0)
                say(f"the connection broke; the host goes on; trying again in {seconds} s")
                time.sleep(seconds)

    def renew(self, begun: Begun, followed: Followed, say: Callable[[str], object]) -> None:
        """Let units that run with a secret's old value have the new one. Raises Failed where one does not come up."""
        for unit in begun.target.to_renew(followed.document):
            say(f"restart: {unit.name}, for its new secret")
            seconds = unit.start_timeout_seconds + unit.stop_timeout_seconds + 60
            done = self._shell.run(f"systemctl restart -- {shlex.quote(unit.unit)}", seconds)
            if done.exit_status:
                raise Failed(
                    "it does not come up with its new secret",
                    where=unit.name,
                    found=done.stderr.decode("utf-8", "replace").strip()[:200],
                    hint=f"journalctl -u {unit.unit}",
                )

    def _renewed(
        self, needed: Iterable[NeededSecret], given: Mapping[str, str], seen: Seen
    ) -> tuple[NeededSecret, ...]:
        there = [each for each in needed if each.name in given and each.name in seen.secrets]
        values = self._secrets.reveal([each.name for each in there]) if there else {}
        return tuple(each for each in there if values[each.name] != given[each.name].encode())


def _gpus(plan: Plan) -> Iterator[Gpu]:
    """Models of its cards, without those that only a rig file knows."""
    known = {*catalog.gpu_names()}
    for model in {card.model for host in plan.rig.hosts for card in host.cards}:
        if model in known:
            yield catalog.gpu(model)


@dataclass
class _Told:
    """Passes lines on, but for those that were told over an earlier connection."""

    say: Callable[[str], object]
    skip: int
    lines: int = 0

    def __call__(self, line: str) -> None:
        self.lines += 1
        if self.lines > self.skip:
            self.say(line)


def _gone(host: str, instance: str, problem: LabctlError) -> Failed:
    return Failed(
        "the connection broke and does not come back",
        where=host,
        found=problem.found or problem.message,
        hint=(
            "the host goes on by itself, to the new services or back to the old ones; "
            f"later: labctl apply again, or on the host: journalctl -u '{unit_of(instance)}'"
        ),
    )
