"""The values that a person wrote into `env` and a plan leaves out: where an apply has them from."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from labctl.errors import BadInput
from labctl.render.render import NeededSecret
from labctl.workloads.workload import Workload


def written(needed: Iterable[NeededSecret], workloads: Iterable[Workload]) -> dict[str, str]:
    """By secret's name, as far as the workloads file has them."""
    env = {workload.name: dict(workload.env) for workload in workloads}
    return {
        secret.name: env[secret.workload][secret.variable]
        for secret in needed
        if secret.made == "written" and secret.variable in env.get(secret.workload, {})
    }


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
