"""The inventory as pyinfra reads it, checked before any host is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.errors import BadInput
from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.inventory import Inventory

    from labctl.edges.deploy_runner import DeployRequest

# pyinfra hands these to SSH and sudo as they are, so a Secret must be opened before it connects.
_CONNECTION_SECRETS = ("ssh_password", "ssh_key_password", "_sudo_password", "_su_password")


def load_inventory(request: DeployRequest) -> Inventory:
    """Return pyinfra's inventory, limited to the hosts asked for.

    Raises BadInput for a missing or broken file, an unknown host in --limit and an inventory without hosts.
    """
    from pyinfra.api.config import Config
    from pyinfra.api.state import State
    from pyinfra.context import ctx_config, ctx_state
    from pyinfra_cli.exceptions import CliError, UnexpectedExternalError
    from pyinfra_cli.inventory import make_inventory

    path = request.inventory
    if not path.startswith("@") and not Path(path).exists() and (path.endswith(".py") or "/" in path):
        raise BadInput(
            "there is no such inventory",
            where=path,
            found="no file",
            expected="a pyinfra inventory: a Python file, or @local",
            hint="copy inventory/home.py from the repository and put your server's address in it",
        )
    with ctx_state.use(State()), ctx_config.use(Config()):
        try:
            inventory = make_inventory(path, cwd=str(Path.cwd()), override_data=_overrides(request))
        except UnexpectedExternalError as problem:
            raise _broken_file(path, problem) from problem
        except (CliError, TypeError) as problem:
            raise BadInput(str(problem), where=path, hint="correct the inventory") from problem
    if not len(inventory):
        raise BadInput(
            "the inventory names no host", where=path, found="no host", expected='hosts = ["192.168.1.20"]'
        )
    for host in inventory:
        _open_connection_secrets(host)
    return _limited(inventory, request)


def _overrides(request: DeployRequest) -> dict[str, Any]:
    from pyinfra_cli.util import parse_cli_arg

    data = {key: parse_cli_arg(value) for key, value in request.data}
    if request.only:
        data["only"] = list(request.only)
    if request.skip:
        data["skip"] = list(request.skip)
    return data


def _limited(inventory: Inventory, request: DeployRequest) -> Inventory:
    """The inventory without the hosts that --limit leaves out; groups are as good as names."""
    if not request.limit:
        return inventory
    from fnmatch import fnmatch

    keep = set()
    for pattern in request.limit:
        chosen = {host.name for host in inventory if fnmatch(host.name, pattern) or pattern in host.groups}
        if not chosen:
            raise BadInput(
                f"no host is called {pattern}",
                where="--limit",
                found=pattern,
                expected=", ".join(sorted(host.name for host in inventory)),
            )
        keep |= chosen
    inventory.hosts = {name: host for name, host in inventory.hosts.items() if name in keep}
    return inventory


def _open_connection_secrets(host: Host) -> None:
    """Wherever they stand, in the host's own data or its groups': what is set here comes before both."""
    for key in _CONNECTION_SECRETS:
        value = host.data.get(key)
        if isinstance(value, Secret):
            setattr(host.data, key, value.reveal())


def _broken_file(path: str, problem: Exception) -> BadInput:
    cause: Any = problem.args[0] if problem.args else problem
    file = problem.args[1] if len(problem.args) > 1 else path
    line = getattr(cause, "lineno", None)
    trace = getattr(cause, "__traceback__", None)
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    where = f"{file}:{line}" if line else str(file)
    return BadInput(
        f"{type(cause).__name__}: {cause}", where=where, hint="correct the file; no host was touched"
    )
