"""A registry for throwaway hosts with an image for every service of the catalogue, under the images' true names.

    registry = prepare(hosts, host)           # once more for another host: the same registry
    registry = prepare(hosts, host, images)   # the same of other images, at another port
    registry.mirrors                          # what an inventory says of it: `podman: {mirrors: …}`
    registry.checkout(folder)                 # labctl, told the digests of these images

It runs on the router of the test network, and a host's Podman is told that it mirrors the true ones.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host import registry_server
from tests.host.hosts import ThrowawayHosts
from tests.host.service_images import ServiceImages, service_images, write_checkout
from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost

PORT = 5000
_STARTED_WITHIN_S = 10
_LOG = "image_registry.{}.log"
_CRUN = "usr/local/lib/throwaway-host/crun"
# Without the controllers of cgroup v2 crun starts nothing that it is to limit; and no root of a container may raise
# limits of its own beyond those that it was born with.
CRUN_TEXT = r"""#!/bin/sh
# THROWAWAY HOST: no controller is delegated to it, so limits of processes, memory and processors are left out; and so
# are those that it may not raise.
bundle= last=
for word; do [ "$last" != --bundle ] || bundle=$word; last=$word; done
[ -z "$bundle" ] || python3 - "$bundle/config.json" <<'END'
import json, resource, sys
def allowed(limit):
    number, infinite = getattr(resource, limit["type"]), 2**64 - 1
    try:
        resource.setrlimit(number, [-1 if limit[each] == infinite else limit[each] for each in ("soft", "hard")])
    except (ValueError, OSError):
        return False
    return True
with open(sys.argv[1]) as file:
    config = json.load(file)
for limit in ("pids", "memory", "cpu"):
    config["linux"].get("resources", {}).pop(limit, None)
if "rlimits" in config["process"]:
    config["process"]["rlimits"] = [each for each in config["process"]["rlimits"] if allowed(each)]
with open(sys.argv[1], "w") as file:
    json.dump(config, file)
END
exec /usr/bin/crun "$@"
"""
_CONTAINERS_CONF = f"""[engine]
runtime = "crun"
[engine.runtimes]
crun = ["/{_CRUN}"]
"""
# What lets our own tools at the state of simulated cards would put each service in a mount namespace of its own.
_CARDS_FOR_OUR_TOOLS_ALONE = """
cd /etc/systemd/system; all=labctl-.service.d/90-simulated.conf
[ -e $all ] || exit 0
for unit in labctl-gpu-.service.d labctl-cdi.service.d; do mkdir -p $unit; cp $all $unit/; done
rm $all; systemctl daemon-reload
"""
_MIRROR = """[[registry]]
location = "{registry}"
[[registry.mirror]]
location = "{mirror}"
insecure = true
"""


@dataclass(frozen=True)
class ImageRegistry:
    """One that runs until the session ends. address: host and port, as the hosts of the session reach it."""

    address: str
    images: ServiceImages

    @property
    def mirrors(self) -> list[dict[str, object]]:
        """The setting `podman.mirrors` of an inventory."""
        names = sorted({name.partition("/")[0] for name in self.images.images})
        return [{"registry": name, "mirror": f"{self.address}/{name}", "insecure": True} for name in names]

    def checkout(self, folder: Path) -> Path:
        """A copy of labctl's programs in `folder`, whose catalogue pins the digests of these images."""
        return write_checkout(folder, self.images.images)


def prepare(hosts: ThrowawayHosts, host: ThrowawayHost, images: ServiceImages | None = None) -> ImageRegistry:
    """Start the registry if the session has none, and let the host's Podman pull from it and run what units limit.

    images: those that it has instead of one for every service. Raises `Failed` when the images cannot be built.
    """
    registry = _started(hosts, images)
    mirrors = (_MIRROR.format(**each) for each in registry.mirrors)
    write(host, "etc/containers/registries.conf.d/90-throwaway-host.conf", "\n".join(mirrors))
    let_services_start(host)
    return registry


def let_services_start(host: ThrowawayHost) -> None:
    """Have containers start whose units limit what cannot be limited here, and which are given simulated cards."""
    write(host, _CRUN, CRUN_TEXT, mode=0o755)
    write(host, "etc/containers/containers.conf.d/90-throwaway-host.conf", _CONTAINERS_CONF)
    host.console_run(_CARDS_FOR_OUR_TOOLS_ALONE)


def _started(hosts: ThrowawayHosts, others: ServiceImages | None) -> ImageRegistry:
    session = hosts.session
    images, port = (others, PORT + 1) if others else (service_images(session.cache), PORT)
    registry = ImageRegistry(f"{session.subnet.router4}:{port}", images)
    log = session.folder / _LOG.format(port)
    if log.exists():
        images.held.release()
        return registry
    hosts.keep(images.held)
    program = [sys.executable, str(registry_server.__file__), session.subnet.router4, str(port)]
    session.start([*program, str(images.folder)], log)
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while registry_server.READY not in log.read_text():
        if time.monotonic() > deadline:
            raise Failed(f"the registry did not start: {log.read_text()[-1000:].strip()}")
        time.sleep(0.02)
    return registry
