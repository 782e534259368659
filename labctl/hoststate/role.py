"""A role: settings in, resources out; and the order in which the roles of a deploy run."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from labctl.errors import BadInput
from labctl.hoststate.resource import Resource


@dataclass(frozen=True)
class Role:
    """`settings` is the type that the inventory's data under the role's name must fit; `resources` is pure.

    `beside`: roles whose settings `resources` is given after the facts, in this order.
    """

    name: str
    settings: type[Any]
    resources: Callable[..., Iterable[Resource]]
    beside: tuple[Role, ...] = ()


def select(roles: tuple[str, ...], only: Iterable[str], skip: Iterable[str]) -> tuple[str, ...]:
    """Return the roles to run, in their order.

    Raises BadInput when `only` or `skip` names a role that does not exist: a typo must not deploy everything.
    """
    chosen, dropped = tuple(only), tuple(skip)
    for option, names in (("--only", chosen), ("--skip", dropped)):
        unknown = [name for name in names if name not in roles]
        if unknown:
            raise BadInput(
                f"no role is called {unknown[0]}",
                where=option,
                found=unknown[0],
                expected=", ".join(roles),
                hint=f"for example: {option} {roles[0]}",
            )
    return tuple(role for role in roles if (not chosen or role in chosen) and role not in dropped)
