"""A host taken to a plan, or back to an earlier generation: looked at, compared, and only then begun."""

from __future__ import annotations

import secrets
import shlex
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from labctl.apply import plan_refusals, refusals, survey
from labctl.apply.changes import GenerationChange, changes
from labctl.apply.generation import Generation
from labctl.apply.survey import Seen
from labctl.apply.written import in_force, missing, version_now, version_with, versions_there, written
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
from labctl.render.names import without_version
from labctl.render.needed_files import FileOnHost, on_host
from labctl.render.render import NeededSecret
from labctl.rig.gpu import Gpu
from labctl.transaction.manifest import bound, stage_id
from labctl.workloads.workload import Workload

RECONNECT_SECONDS = (1, 2, 4, 8, 15, 30)
"""What is waited before each try: a laptop that changed its network is back within the minute."""


@dataclass(frozen=True)
class Target:
    """Where a host is to go, and what that takes.

    instance: of a generation that the host has; None for one that is to be staged. refusals: why not; nothing may begin
    then. secrets: what units need; given: values of those, by name. new_secrets: those that are not there yet;
    renewed: those whose value is another than the one in force.
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
        return self.change.is_none and not self.new_secrets


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
            data_images=(seen.status or {}).get("data_images", {}),
        )
        rendered = render_for(plan, host, facts)
        given = written(rendered.secrets, workloads)
        facts = replace(facts, versions=self._versions(rendered.secrets, given, seen))
        given = {facts.variable_secret(name): value for name, value in given.items()}
        places = rendered.model_files
        services = {service.name: service for service in catalog.services()}
        here = [name for name, planned in plan.workloads.items() if planned.host == host]
        models = needed_models(plan, services, here)
        jobs = [(name, plan.workloads[name]) for name in here]
        wanted = [file for name, each in jobs for file in on_host(name, each, services[each.service])]
        present = self._models.present({each.place for each in models}) if models else frozenset()
        facts = replace(facts, model_files=self._models.loaded_as(places) if places else {})
        if facts.versions or facts.model_files:
            rendered = render_for(plan, host, facts)
        new = Generation(
            rendered.manifest, {file.path: rendered.files[file.path] for file in rendered.manifest.files}
        )
        change = changes(new, seen.generation, seen.installed, seen.up)
        starting = {unit.name for unit in change.starting}
        gpus = {gpu.name: gpu for gpu in _gpus(plan)}
        return Target(
            self._host,
            seen,
            new,
            change,
            refusals=tuple(
                refusals.of_running(seen, self._host, bound(stage_id(new.manifest.text()), seen.current))
            )
            or (
                *missing(rendered.secrets, given, seen.secrets),
                *refusals.of_cards(plan, host, seen, gpus, services),
                *refusals.of_models(models, present, starting),
                *plan_refusals.of_devices(plan, host, seen, starting),
                *refusals.of_generation(seen, new, change.starting),
            ),
            notes=(
                *refusals.notes(seen, new),
                *plan_refusals.notes(plan, host, self._absent(wanted)),
                *plan_refusals.held_back(rendered),
            ),
            secrets=rendered.secrets,
            given=given,
            new_secrets=tuple(each.name for each in rendered.secrets if each.name not in seen.secrets),
            renewed=_renewed(rendered.secrets, seen.generation),
        )

    def to_generation(self, seen: Seen, number: int | None) -> Target:
        """number: None for the one before. Raises BadInput where it is not there."""
        status = seen.status or {}
        there = {each["number"]: each for each in status.get("generations", ())}
        current = seen.current
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
        instance = bound(f"generation-{wanted}", current)
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
            stage = self._transactions.stage(target.generation.manifest, target.generation.files)
            instance = bound(stage, target.seen.current)
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
        followed = self._followed(begun, say)
        there = {*begun.target.seen.secrets, *begun.target.new_secrets}
        if not followed.exit_code and any(name != without_version(name) for name in there):
            try:
                self._secrets.prune()
            except LabctlError as problem:  # the next apply does it
                say(f"values of secrets that nobody takes any more are left: {problem}")
        return followed

    def _followed(self, begun: Begun, say: Callable[[str], object]) -> Followed:
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

    def _absent(self, wanted: Sequence[FileOnHost]) -> tuple[FileOnHost, ...]:
        """Those that are not on the host, which is asked where there are any."""
        if not wanted:
            return ()
        paths = shlex.join(each.path for each in wanted)
        done = self._shell.run(f'for f in {paths}; do [ -e "$f" ] || printf "%s\\n" "$f"; done')
        absent = done.stdout.decode().splitlines()
        return tuple(each for each in wanted if each.path in absent)

    def _versions(
        self, needed: Iterable[NeededSecret], given: Mapping[str, str], seen: Seen
    ) -> dict[str, str]:
        """Which of a host's values of a secret in `env` its unit is to take, by the name without a version."""
        now = in_force(seen.generation)
        there = {
            each.name: versions_there(each.name, seen.secrets) for each in needed if each.made == "written"
        }
        if any(len(each) > 1 for each in there.values()):
            looked = self._secrets.look().secrets
            for name, versions in there.items():
                there[name] = sorted(versions, key=lambda each: looked[each].updated_at)
        asked = [version for name in given for version in there[name]]
        values = self._secrets.reveal(asked) if asked else {}
        found = {name: version_now(name, versions, now.get(name)) for name, versions in there.items()}
        for name, value in given.items():
            mine = {version: values[version] for version in there[name]}
            found[name] = version_with(
                name, value.encode(), mine, now.get(name), lambda: secrets.token_hex(4)
            )
        return {name: version for name, version in found.items() if version != name}


def _renewed(needed: Iterable[NeededSecret], generation: Generation | None) -> tuple[NeededSecret, ...]:
    now = in_force(generation)
    return tuple(
        each
        for each in needed
        if each.made == "written" and now.get(without_version(each.name), each.name) != each.name
    )


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
