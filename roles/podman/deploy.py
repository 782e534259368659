"""Podman with Quadlet: registries, storage, bounded logs, old images removed by a timer."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.errors import Failed
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit
from roles.podman.settings import PodmanSettings

PACKAGES = ("podman", "crun", "netavark", "aardvark-dns", "nftables", "passt", "fuse-overlayfs", "catatonit")
LEAST_VERSION = (
    "4.9"  # the first of the supported distributions' versions whose Quadlet knows every key we render
)
# A file of our own, so that it can go with the setting: root's own auth.json may hold a person's `podman login`.
LOGINS = "/etc/containers/labctl-auth.json"
PRUNE_SCRIPT = "/usr/local/lib/labctl/prune-images"
PRUNE_UNIT = "labctl-prune-images"


@role("podman", PodmanSettings)
def podman(settings: PodmanSettings, facts: HostFacts) -> Iterator[Resource]:
    """Configuration first, then the packages that read it."""
    if (facts.os_id, facts.os_version) == ("debian", "12"):
        raise Failed(
            "Debian 12 has Podman 4.3, which knows no Quadlet units",
            found="Debian 12",
            expected=f"Podman {LEAST_VERSION} or later: Debian 13, Ubuntu 24.04 or 26.04",
            hint="upgrade to Debian 13, or deploy the GPU roles alone: --skip podman",
        )
    yield Files("configuration", tuple(_configuration(settings, facts)))
    yield Files("registry logins", (_logins(settings),))
    yield Packages("packages", PACKAGES)
    yield Condition(
        "Quadlet",
        probe=f"dpkg --compare-versions \"$(podman version --format '{{{{.Client.Version}}}}')\" ge {LEAST_VERSION}"
        " && [ -x /usr/lib/systemd/system-generators/podman-system-generator ] && echo yes",
        wanted="yes",
        settled_by=("podman",),
        problem=f"no Podman {LEAST_VERSION} or later with its Quadlet generator",
        apply=f"echo 'this Podman is too old for Quadlet units ({LEAST_VERSION} or later is wanted): '"
        '"$(podman version --format {{.Client.Version}}), remove it or the source it came from" >&2; exit 1',
    )
    units = "/etc/systemd/system"
    service = File(
        f"{units}/{PRUNE_UNIT}.service", render(__file__, f"{PRUNE_UNIT}.service", script=PRUNE_SCRIPT)
    )
    timer = File(f"{units}/{PRUNE_UNIT}.timer", render(__file__, f"{PRUNE_UNIT}.timer", when=settings.prune))
    yield Files(
        "image pruning files",
        (
            File(PRUNE_SCRIPT, render(__file__, "prune-images"), mode="755"),
            service,
            timer,
        ),
    )
    yield Unit("image pruning", f"{PRUNE_UNIT}.timer", reads=(timer, service))


def _configuration(settings: PodmanSettings, facts: HostFacts) -> Iterator[File]:
    yield File(
        "/etc/containers/registries.conf.d/50-labctl.conf",
        render(__file__, "registries.conf", search=settings.search_registries, mirrors=settings.mirrors),
    )
    yield File("/etc/containers/storage.conf", render(__file__, "storage.conf", storage=settings.storage))
    # netavark before 1.12 (Ubuntu 24.04 has 1.4) knows no nftables driver and refuses the key.
    nftables = (facts.os_id, facts.os_version) != ("ubuntu", "24.04")
    yield File(
        "/etc/containers/containers.conf.d/50-labctl.conf",
        render(__file__, "containers.conf", nftables=nftables, logins=LOGINS if settings.logins else None),
    )


def _logins(settings: PodmanSettings) -> File:
    if not settings.logins:
        return File(LOGINS, None)
    auths = {
        login.registry: {
            "auth": base64.b64encode(f"{login.username}:{login.password.reveal()}".encode()).decode()
        }
        for login in settings.logins
    }
    return File(LOGINS, json.dumps({"auths": auths}, indent=1, sort_keys=True) + "\n", mode="600")
