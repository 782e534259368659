"""Which workloads a person means by name, and what stands against starting or stopping them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Literal

from labctl.errors import AnswerIsNo, BadInput, Failed
from labctl.plan.plan import PlannedWorkload

Verb = Literal["start", "stop", "restart"]
_MOST_NAMED = 8


def chosen(
    names: Iterable[str], known: Mapping[str, Collection[str]], silent: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """The workloads by host. known: what each host has in force; silent: hosts that do not answer, and why.

    Raises BadInput for a name that no host knows, Failed where one that does not answer may know it.
    """
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(names):
        hosts = [host for host, there in known.items() if name in there]
        if not hosts and silent:
            host, problem = next(iter(silent.items()))
            raise Failed(
                f"no host that answers runs {name}",
                where=name,
                found=f"{host}: {problem}",
            )
        if not hosts:
            every = sorted({each for there in known.values() for each in there})
            near = get_close_matches(name, every, n=3)
            raise BadInput(
                "no workload of this name is in force",
                where="NAME",
                found=name,
                expected=" or ".join(near)
                or ", ".join(every[:_MOST_NAMED])
                or "one that `labctl apply` put there",
                hint="`labctl status` lists them",
            )
        for host in hosts:
            found.setdefault(host, []).append(name)
    return {host: tuple(there) for host, there in found.items()}


def refuse_displaced(
    verb: Verb, names: Collection[str], workloads: Mapping[str, PlannedWorkload], running: Collection[str]
) -> None:
    """Raise AnswerIsNo for what would end a job that has taken its cards: systemd lets only one of both run."""
    if verb == "stop":
        return
    for job in sorted({*running, *names}):
        for aside in workloads[job].displaces:
            if aside not in names:
                continue
            if job in names:
                raise AnswerIsNo(
                    f"{job} takes the place of {aside}: only one of them can run",
                    where=f"labctl {verb}",
                    hint=f"labctl {verb} {job}: {aside} comes back by itself",
                )
            raise AnswerIsNo(
                f"{aside} stepped aside for {job}, which runs",
                where=f"labctl {verb}",
                hint=f"it comes back when {job} ends; `labctl stop {job}` ends it now",
            )


def notes(
    verb: Verb,
    name: str,
    workloads: Mapping[str, PlannedWorkload],
    running: Collection[str],
    names: Collection[str],
) -> Iterator[str]:
    """What a person should know beside what is done."""
    planned = workloads[name]
    users = [
        other
        for other, each in sorted(workloads.items())
        if name in each.uses and other in running and other not in names
    ]
    if verb in ("stop", "restart") and users:
        yield f"{_and(users)} {'uses' if len(users) == 1 else 'use'} {name} and cannot reach it until it runs again"
    aside = [other for other in planned.displaces if other in workloads]
    if verb == "start" and aside and name not in running:
        yield f"{_and(aside)} {'steps' if len(aside) == 1 else 'step'} aside while {name} runs, and comes back"
    if verb == "stop" and aside and name in running:
        yield f"{_and(aside)} {'comes' if len(aside) == 1 else 'come'} back"
    if verb == "stop" and planned.when:
        yield f"{name} starts again at {planned.when.partition('-')[0]}, its time"
    elif verb == "stop" and not planned.displaces:
        yield f"{name} stays stopped until `labctl start {name}`, the next apply or boot"


def _and(names: list[str]) -> str:
    return " and ".join((", ".join(names[:-1]), names[-1])) if len(names) > 1 else names[0]
