"""The inventory as pyinfra reads it, checked before any host is touched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from labctl.edges.bundle import deploy_file
from labctl.errors import BadInput
from labctl.secret import Secret

if TYPE_CHECKING:
    from pyinfra.api.host import Host
    from pyinfra.api.inventory import Inventory

    from labctl.edges.deploy_request import DeployRequest

# pyinfra hands these to SSH and sudo as they are, so a Secret must be opened before it connects.
_CONNECTION_SECRETS = ("ssh_password", "ssh_key_password", "_sudo_password", "_su_password")


def load_inventory(request: DeployRequest) -> Inventory:
    """Return pyinfra's inventory, limited to the hosts asked for.

    Raises BadInput for a missing or broken file, an unknown host in --limit and an inventory without hosts; and for
    data of a host that no role would take.
    """
    limited = read_inventory(request)
    _refuse_bad_data(limited, request)
    return limited


def read_inventory(request: DeployRequest) -> Inventory:
    """As `load_inventory`, but of a host's data only what concerns its connection is looked at."""
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
        except (UnexpectedExternalError, SyntaxError) as problem:
            raise _broken_file(path, problem) from problem
        except (CliError, TypeError, ValueError, LookupError, AttributeError) as problem:
            raise BadInput(
                "this is not an inventory",
                where=path,
                found=str(problem),
                expected='hosts = [("aibox", {"ssh_hostname": "192.168.1.20"})]',
                hint="correct the file; no host was touched",
            ) from problem
    if not len(inventory):
        raise BadInput(
            "the inventory names no host", where=path, found="no host", expected='hosts = ["192.168.1.20"]'
        )
    for host in inventory:
        _open_connection_secrets(host)
    limited = _limited(inventory, request)
    for host in limited:
        _refuse_bad_connection_data(host)
    return limited


def _refuse_bad_data(inventory: Inventory, request: DeployRequest) -> None:
    """Before any host is connected to: a typo in the data of one must not stop a run half-way over all."""
    from labctl.edges import inventory_settings

    ours = (deploy_file("gpu_host.py"), deploy_file("update_host.py"))
    if Path(request.deploy_file) not in ours:
        return  # somebody's own may do more than run roles: it is tried on each host once that is connected
    data = {f"inventory: {host.name}": host.data.dict() for host in inventory}
    if not any(inventory_settings.may_speak_of_roles(each) for each in data.values()):
        for where, each in data.items():
            inventory_settings.models_folder(where, each)
        return  # it takes a while to import them all
    from labctl.edges.pyinfra_roles import refuse_bad_data, roles_of

    roles = roles_of(Path(request.deploy_file))
    for where, each in data.items():
        refuse_bad_data(where, each, roles)


def _refuse_bad_connection_data(host: Host) -> None:
    from pyinfra.api.exceptions import ConnectorDataTypeError
    from pyinfra.connectors.base import host_to_connector_data

    kind = host.connector_cls
    try:
        host_to_connector_data(kind.data_cls, kind.data_meta, host.data)
    except ConnectorDataTypeError as problem:
        text = " ".join(str(problem).replace("::", ":").split()).removeprefix("Invalid connector data ")
        raise BadInput(
            "a setting of the connection cannot be used",
            where=f"inventory: {host.name}",
            found=text,
            hint="correct it in the inventory; no host was touched",
        ) from problem


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
    """`problem` is the syntax error itself, or pyinfra's error around what the file raised and the file's name."""
    file: str
    if isinstance(problem, SyntaxError):
        cause, file, line, words = problem, problem.filename or path, problem.lineno, problem.msg
    else:
        cause, file = problem.args
        line, words = _line_in(file, cause), str(cause)
    where = f"{file}:{line}" if line else file
    hint = "correct the file; no host was touched"
    return BadInput(f"{type(cause).__name__}: {words}", where=where, hint=hint)


def _line_in(file: str, error: BaseException) -> int | None:
    """The line of `file` that `error` passed last on its way up."""
    line = None
    trace = error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    return line
