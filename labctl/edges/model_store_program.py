"""The program that keeps a host's folder of models, as one file; and the unit that runs a pull."""

from __future__ import annotations

import hashlib
import shlex
from functools import cache

from labctl.edges.zipped_program import zipped_program

USER = "labctl-models"
RUN = "/run/labctl/models"
"""Of this boot: the program, and requests until their unit has read them. A host keeps no more of it than that."""
_TOLD = "labctl-models"
"""Below /run: status and result of each pull, written by its unit."""
# Nothing but the network and one folder. BindPaths: the folder is there also when it lies below /home.
_HARDENING = (
    "NoNewPrivileges=yes",
    "ProtectSystem=strict",
    "ProtectHome=tmpfs",
    "PrivateTmp=yes",
    "PrivateDevices=yes",
    "ProtectClock=yes",
    "ProtectControlGroups=yes",
    "ProtectHostname=yes",
    "ProtectKernelLogs=yes",
    "ProtectKernelModules=yes",
    "ProtectKernelTunables=yes",
    "RestrictNamespaces=yes",
    "RestrictRealtime=yes",
    "RestrictSUIDSGID=yes",
    "LockPersonality=yes",
    "MemoryDenyWriteExecute=yes",
    "SystemCallArchitectures=native",
    "SystemCallFilter=@system-service",
    "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    # Of all that runs there it is the least urgent.
    "Nice=10",
    "IOSchedulingClass=idle",
)


@cache
def program() -> bytes:
    """A zip file that Python runs."""
    return zipped_program("model_store", ("errors.py",))


@cache
def program_path() -> str:
    """Where it lies on the host: by its content, so that two versions of labctl do not meet."""
    return f"{RUN}/{hashlib.sha256(program()).hexdigest()[:16]}.zip"


def unit_of(instance: str) -> str:
    """The unit of a pull. instance: `instance_of` its request."""
    return f"labctl-models-{instance}.service"


def instance_of(request: str) -> str:
    """The name of a request: asking for the same twice follows the one that runs."""
    return hashlib.sha256(request.encode()).hexdigest()[:16]


def request_path(instance: str) -> str:
    """Where the request waits until its unit has opened it: root's alone, and never on a disk."""
    return f"{RUN}/{instance}.json"


def told_folder(instance: str) -> str:
    """Where the unit's status and result are."""
    return f"/run/{_TOLD}/{instance}"


def start_command(instance: str, folder: str, reads: tuple[str, ...] = ()) -> str:
    """The shell command that starts the unit and returns as soon as it runs.

    reads: paths of the host that are copied. Only then may it read what others keep to themselves, and then it has no
    network.
    """
    rights: tuple[str, ...] = ("CapabilityBoundingSet=",)
    if reads:
        rights = (
            "CapabilityBoundingSet=CAP_DAC_READ_SEARCH",
            "AmbientCapabilities=CAP_DAC_READ_SEARCH",
            "PrivateNetwork=yes",
            *(f"BindReadOnlyPaths={_escaped(path)}" for path in reads),
        )
    properties = (
        *_HARDENING,
        *rights,
        f"User={USER}",
        f"Group={USER}",
        "UMask=0022",
        f"BindPaths={_escaped(folder)}",
        f"ReadWritePaths={_escaped(folder)}",
        f"StandardInput=file:{request_path(instance)}",
        f"RuntimeDirectory={_TOLD}/{instance}",
        "RuntimeDirectoryPreserve=yes",
        "SyslogIdentifier=labctl-models",
        "Wants=network-online.target",
        "After=network-online.target",
    )
    words = ["systemd-run", "--quiet", "--collect", "--service-type=exec", f"--unit={unit_of(instance)}"]
    words += ["--description=Fetch model files for labctl"]
    words += [f"--property={each}" for each in properties]
    return shlex.join([*words, "/usr/bin/python3", "-I", program_path(), "pull"])


def _escaped(path: str) -> str:
    r"""As these settings want it: spaces part their entries, a colon the two sides of one."""
    return path.replace("\\", "\\\\").replace(" ", r"\ ").replace(":", r"\:")
