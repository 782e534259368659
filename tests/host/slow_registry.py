"""A registry with small images that run nothing by themselves, which it hands out as slowly as a line to the internet.

images = serve(hosts, host, {"one": 3})      # MiB by tag
images["one"]                                # the name that the host's Podman pulls it by
"""

import secrets
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from labctl.errors import Failed
from tests.host import registry_server
from tests.host.converged import links
from tests.host.hosts import ThrowawayHosts
from tests.host.oci_store import Configuration, Entry, Store, files_layer
from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost

PORT = 5001
SECONDS_PER_MIB = 0.5
_NAME = "lab/links-into-usr"
_STARTED_WITHIN_S = 10
_INSECURE = """[[registry]]
location = "{address}"
insecure = true
"""


def serve(hosts: ThrowawayHosts, host: ThrowawayHost, sizes_mib: Mapping[str, int]) -> dict[str, str]:
    """Put images into the session's, and let the host's Podman pull from it; their names by tag.

    Each image is links into /usr and random bytes. Raises `Failed` when it does not start.
    """
    folder = hosts.session.folder / "slow-registry"
    store = Store(folder)
    for tag, mib in sizes_mib.items():
        bulk = files_layer([Entry("bulk", secrets.token_hex(mib << 19))])
        store.put_image(_NAME, tag, [store.put(links()), store.put(bulk)], Configuration())
    address = f"{hosts.session.subnet.router4}:{PORT}"
    write(host, "etc/containers/registries.conf.d/91-slow-registry.conf", _INSECURE.format(address=address))
    _start(hosts, folder)
    return {tag: f"{address}/{_NAME}:{tag}" for tag in sizes_mib}


def _start(hosts: ThrowawayHosts, folder: Path) -> None:
    log = folder / "log"
    if log.exists():
        return
    program = [sys.executable, str(registry_server.__file__), hosts.session.subnet.router4, str(PORT)]
    hosts.session.start([*program, str(folder), str(SECONDS_PER_MIB)], log)
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while registry_server.READY not in log.read_text():
        if time.monotonic() > deadline:
            raise Failed(f"the registry did not start: {log.read_text()[-1000:].strip()}")
        time.sleep(0.02)
