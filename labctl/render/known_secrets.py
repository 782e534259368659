"""Every secret that a plan's workloads may take on a host, in the catalogue's words. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from labctl.plan.plan import Plan
from labctl.render import names
from labctl.workloads.service import Secret, Service


@dataclass(frozen=True)
class KnownSecret:
    """One of a workload's. what: it is for. procedure: how the service itself changes it; None where it has no way.

    changed_by: `restart` where a new value takes effect with the next start. characters: of a random one.
    """

    name: str
    workload: str
    service: str
    made: Literal["random", "given", "written"]
    what: str
    characters: int | None = None
    changed_by: Literal["restart"] | None = None
    procedure: str | None = None


def known_secrets(plan: Plan, host: str, services: Mapping[str, Service]) -> Mapping[str, KnownSecret]:
    """By name. Those that nobody gave yet are among them; a service that the catalogue does not have brings none.

    host: as the inventory calls it. A plan for one host alone is that host's, whatever it is called here.
    """
    hosts = [each.name for each in plan.rig.hosts]
    name = hosts[0] if len(hosts) == 1 else host
    return {each.name: each for each in _all(plan, name, services)}


def given_to(name: str, services: Mapping[str, Service]) -> KnownSecret | None:
    """The `given` secret of this name, whichever workload it is for: before the first apply no plan tells.

    None where no service of the catalogue has one whose name is the end of this.
    """
    for service in services.values():
        for secret in service.secrets:
            workload = name.removesuffix(f"-{secret.name}")
            if secret.made == "given" and workload and workload != name:
                return _of_service(workload, service, secret)
    return None


def _all(plan: Plan, host: str, services: Mapping[str, Service]) -> Iterator[KnownSecret]:
    for workload, planned in sorted(plan.workloads.items()):
        if planned.host != host:
            continue
        service = services.get(planned.service)
        for secret in service.secrets if service else ():
            assert service is not None
            yield _of_service(workload, service, secret)
        for place in planned.secrets:
            if place.startswith("env."):
                variable = place.removeprefix("env.")
                yield KnownSecret(
                    names.variable_secret(workload, variable),
                    workload,
                    planned.service,
                    "written",
                    f"{variable} in its env of the workloads file",
                    changed_by="restart",
                )


def _of_service(workload: str, service: Service, secret: Secret) -> KnownSecret:
    procedure = secret.procedure and secret.procedure.replace("NAME", workload)
    return KnownSecret(
        names.secret(workload, secret.name),
        workload,
        service.name,
        secret.made,
        secret.what,
        secret.characters,
        secret.changed_by,
        procedure,
    )
