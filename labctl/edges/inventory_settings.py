"""The inventory's data as typed settings: every key is known, every value has its type, or nothing is touched."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from labctl.errors import BadInput
from labctl.hoststate.role import Role
from labctl.render.host import MODELS
from labctl.secret import Secret

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# Keys of labctl's own beside the roles'; `x_` is the reader's own, as `x-` is in compose files.
MODELS_FOLDER = "models_folder"
OPTIONS = ("only", "skip", "firewall_confirmed", MODELS_FOLDER)
_FREE_PREFIX = "x_"
# It stands in units and in commands, where anything else would need quoting.
_FOLDER = re.compile(r"(/[A-Za-z0-9_.+@-]+)+")
_WHERE_FROM = 'Secret.env("NAME") or Secret.file("PATH"), from labctl.secret'


def settings(where: str, data: Mapping[str, Any], roles: Iterable[Role]) -> dict[str, Any]:
    """Return the validated settings of each role by its name.

    `where` names the inventory and host for messages. Raises BadInput for a key nobody knows (pyinfra itself would
    take a typo for None), for a value of the wrong type, and for a setting that a role does not have.
    """
    known = {role.name: role for role in roles}
    for key in map(str, data):
        if (
            key not in known
            and key not in OPTIONS
            and not key.startswith(_FREE_PREFIX)
            and key not in _pyinfra_keys()
        ):
            raise _unknown(where, key, [*known, *OPTIONS], [*_pyinfra_keys()])
    models_folder(where, data)
    return {name: _validate(f"{where}.{name}", role.settings, data.get(name)) for name, role in known.items()}


def may_speak_of_roles(data: Mapping[str, Any]) -> bool:
    """Whether a key is neither pyinfra's nor the models' folder nor the reader's own.

    Without one all roles have their defaults, and there is nothing to be validated.
    """
    return any(
        key != MODELS_FOLDER and not key.startswith(_FREE_PREFIX) and key not in _pyinfra_keys()
        for key in map(str, data)
    )


def models_folder(where: str, data: Mapping[str, Any]) -> str:
    """Where the host keeps model files. Raises BadInput for what cannot be such a folder."""
    folder = data.get(MODELS_FOLDER) or MODELS
    plain = isinstance(folder, str) and _FOLDER.fullmatch(folder) and ".." not in folder.split("/")
    if not plain or "/" not in str(folder).lstrip("/"):
        raise BadInput(
            "the folder of models cannot be used",
            where=f"{where}.{MODELS_FOLDER}",
            found=_shown(folder),
            expected=f"a folder below one of the root's, of letters, digits and .-_+@, as {MODELS}",
            hint="correct it in the inventory or its group_data; nothing was changed on any host",
        )
    return str(folder)


def names(value: Any) -> tuple[str, ...]:
    """`only=` and `skip=` as given: "a,b", a list, or nothing."""
    if not value:
        return ()
    if isinstance(value, str):
        return tuple(name.strip() for name in value.split(",") if name.strip())
    return tuple(str(name) for name in value)


def _validate(where: str, model: type[Any], value: Any) -> Any:
    from pydantic import ValidationError

    if value is None:
        value = {}
    if isinstance(value, model):
        return value
    if not isinstance(value, Mapping):
        raise BadInput(
            "settings are a mapping", where=where, found=_shown(value), expected="{setting: value, …}"
        )
    try:
        return model(**value)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        path = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            raise _unknown(where, path, list(model.model_fields)) from None
        raise BadInput(
            f"{path or 'the settings'} cannot be used",
            where=f"{where}.{path}" if path else where,
            found=_found(first),
            expected=_WHERE_FROM if _wants_secret(first) else first["msg"],
            hint="correct it in the inventory or its group_data; nothing was changed on any host",
        ) from None


def _wants_secret(problem: ErrorDetails) -> bool:
    return problem["type"] == "is_instance_of" and problem.get("ctx", {}).get("class") == Secret.__name__


def _found(problem: ErrorDetails) -> str:
    if problem["type"] == "missing":
        return "nothing"
    kind = type(problem["input"]).__name__
    return f"a {kind} in plain sight" if _wants_secret(problem) else _shown(problem["input"])


def _shown(value: Any) -> str:
    """A value for a message; of one with parts the kind alone, since a secret may be among them."""
    plain = isinstance(value, str | int | float | Secret) or value is None
    return repr(value)[:60] if plain else f"a {type(value).__name__}"


def _unknown(where: str, key: str, candidates: list[str], others: Iterable[str] = ()) -> BadInput:
    """`others` may be meant as well, and are too many to be listed."""
    near = difflib.get_close_matches(key, [*candidates, *others], n=1)
    return BadInput(
        f"nothing is called {key}",
        where=f"{where}.{key}",
        found=key,
        expected=near[0] if near else "one of: " + ", ".join(sorted(candidates)),
        hint=f"did you mean {near[0]}?" if near else f"a key of your own starts with {_FREE_PREFIX}",
    )


@cache
def _pyinfra_keys() -> frozenset[str]:
    from pyinfra.api.arguments import all_global_arguments
    from pyinfra.api.connectors import get_all_connectors

    keys = {name for name, _ in all_global_arguments()}
    for connector in get_all_connectors().values():
        keys |= set(getattr(connector, "data_meta", {}))
    return frozenset(keys)
