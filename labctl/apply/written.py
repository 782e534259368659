"""The values that a person wrote into `env` and a plan leaves out: where an apply has them from, and which it takes.

A value is kept as long as some generation takes it: a new one goes by another name, so that the units themselves say
which is theirs, whatever becomes of an apply.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from labctl.apply.generation import Generation
from labctl.errors import BadInput
from labctl.render.names import secret_version, without_version
from labctl.render.render import NeededSecret
from labctl.workloads.workload import Workload

_TAKEN = re.compile(r"^Secret=([^,\n]+)", re.MULTILINE)


def written(needed: Iterable[NeededSecret], workloads: Iterable[Workload]) -> dict[str, str]:
    """By secret's name, as far as the workloads file has them."""
    env = {workload.name: dict(workload.env) for workload in workloads}
    return {
        secret.name: env[secret.workload][secret.variable]
        for secret in needed
        if secret.made == "written" and secret.variable in env.get(secret.workload, {})
    }


def versions_there(name: str, there: Collection[str]) -> list[str]:
    """What the host has of one secret, whatever its version."""
    return sorted(each for each in there if without_version(each) == name)


def in_force(generation: Generation | None) -> dict[str, str]:
    """Which version each unit of a generation takes, by the name without it."""
    texts = (generation.text(path) for path in generation.files) if generation else ()
    return {without_version(name): name for text in texts for name in _TAKEN.findall(text)}


def version_now(name: str, there: Sequence[str], now: str | None) -> str:
    """Which to take where nobody gave a value: the one in force, or else the newest. there: the newest last."""
    return now or (there[-1] if there else name)


def version_with(
    name: str, value: bytes, there: Mapping[str, bytes], now: str | None, digits: Callable[[], str]
) -> str:
    """Which to take of a value: the one in force, another that has it, or a new one. digits: of that."""
    same = [each for each in there if there[each] == value]
    if same:
        return now if now in same else same[-1]
    return secret_version(name, digits()) if there else name


def missing(
    needed: Iterable[NeededSecret], given: Mapping[str, str], there: Collection[str]
) -> Iterator[BadInput]:
    """Of those that neither the host has nor anybody gave."""
    for secret in needed:
        if secret.made == "written" and secret.name not in given and secret.name not in there:
            yield BadInput(
                "a plan holds no secrets, and the host does not have this one yet",
                where=f"{secret.workload}.env.{secret.variable}",
                found="no value",
                expected="the workloads file that has it",
                hint="labctl apply --workloads workloads/home.yaml (with pyinfra: --data workloads=FILE)",
            )
