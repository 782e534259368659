"""A server with something to hide: a container with published ports, and a plain service; and who might look for it."""

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.host.converged import FOLDER, IMAGE, KNOCKING
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.knocking import Try, knock
from tests.host.throwaway_host import ThrowawayHost

# Two ports of the host lead to one port of the container, so a rule that looks at the latter opens both or neither.
CONTAINER_PORT, PUBLISHED, PUBLISHED_TOO, PLAIN = 80, 8080, 8081, 9090
CONTAINER_SAYS, PLAIN_SAYS = "a container", "a plain service"
_UNITS = {
    "/etc/containers/systemd/lab.network": "[Network]\nNetworkName=lab\nIPv6=true\n",
    "/etc/containers/systemd/web.container": f"""
[Container]
ContainerName=web
Image={IMAGE}
Network=lab.network
PublishPort={PUBLISHED}:{CONTAINER_PORT}
PublishPort={PUBLISHED}:{CONTAINER_PORT}/udp
PublishPort={PUBLISHED_TOO}:{CONTAINER_PORT}
Volume=/usr:/usr:ro
Volume={FOLDER}:{FOLDER}:ro
Exec=/usr/bin/python3 {KNOCKING} serve {CONTAINER_PORT} "{CONTAINER_SAYS}"
StopTimeout=1

[Install]
WantedBy=multi-user.target
""",
    # Asks for itself: a container cannot reach its own published port by the host's address, whatever the firewall.
    "/etc/containers/systemd/asker.container": f"""
[Container]
ContainerName=asker
Image={IMAGE}
Network=lab.network
Volume=/usr:/usr:ro
Volume={FOLDER}:{FOLDER}:ro
Exec=/usr/bin/sleep infinity
StopTimeout=1

[Install]
WantedBy=multi-user.target
""",
    "/etc/systemd/system/plain.service": f"""
[Service]
ExecStart=/usr/bin/python3 {KNOCKING} serve {PLAIN} "{PLAIN_SAYS}"

[Install]
WantedBy=multi-user.target
""",
}
_WITH = ("--only", "firewall", "--json")


@dataclass
class Lab:
    """server: has the services. client: another machine of the LAN, which knows the server as a router."""

    server: ThrowawayHost
    client: ThrowawayHost
    folder: Path
    container: tuple[str, str] = field(init=False)

    def __post_init__(self) -> None:
        for path, text in _UNITS.items():
            self.server.console_run(f"mkdir -p $(dirname {path}); cat >{path} <<'EOF'\n{text}\nEOF")
        self.server.console_run(
            "systemctl daemon-reload; systemctl enable plain; systemctl start plain web asker"
        )
        self.container = self._addresses_of("web")
        self.route_to_containers()

    def deploy(self, host: ThrowawayHost | None = None, **firewall: object) -> Run:
        """Deploy the firewall with these settings, to the server if not said otherwise."""
        return labctl("deploy", self._inventory(host or self.server, firewall), *_WITH)

    def start_deploy(self, **firewall: object) -> subprocess.Popen[bytes]:
        """Begin the same in a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "labctl", "deploy", self._inventory(self.server, firewall), *_WITH],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=CHECKOUT,
            start_new_session=True,
        )

    def _inventory(self, host: ThrowawayHost, firewall: Mapping[str, object]) -> Path:
        return write_inventory(self.folder / "home.py", host, firewall=firewall)

    def route_to_containers(self) -> None:
        """Let the client send packets for the containers' own addresses to the server."""
        four, six = self.container
        self.client.console_run(
            f"ip route replace {four} via {self.server.ipv4}; ip -6 route replace {six} via {self.server.ipv6}"
        )

    def from_client(self, tries: Iterable[Try], source_port: int = 0) -> dict[Try, str | None]:
        """What the other machine of the LAN hears."""
        return _knock(self.client, tries, source_port=source_port)

    def from_laptop(self, tries: Iterable[Try]) -> dict[Try, str | None]:
        """What the machine that deploys hears."""
        tries = list(tries)
        return dict(zip(tries, knock(tries), strict=True))

    def from_server(self, tries: Iterable[Try]) -> dict[Try, str | None]:
        """What the host itself hears."""
        return _knock(self.server, tries)

    def from_container(self, tries: Iterable[Try]) -> dict[Try, str | None]:
        """What another container hears."""
        return _knock(self.server, tries, prefix="podman exec asker ")

    def resolved_in_container(self, *names: str) -> dict[str, list[str]]:
        """The addresses that names have in that container."""
        answer = self.server.console_run(f"podman exec asker python3 {KNOCKING} resolve {' '.join(names)}")
        return dict(json.loads(answer.stdout))

    def on_server(self, *ports: int, protocol: str = "tcp") -> list[Try]:
        """Ports of the server, over IPv4 and IPv6."""
        return [
            (protocol, address, port) for port in ports for address in (self.server.ipv4, self.server.ipv6)
        ]

    def inside(self) -> list[Try]:
        """The container's own port at its own addresses."""
        return [("tcp", address, CONTAINER_PORT) for address in self.container]

    def _addresses_of(self, container: str) -> tuple[str, str]:
        found = self.server.console_run(f"podman inspect {container}").stdout
        (network,) = json.loads(found)[0]["NetworkSettings"]["Networks"].values()
        return network["IPAddress"], network["GlobalIPv6Address"]


def _knock(
    host: ThrowawayHost, tries: Iterable[Try], *, prefix: str = "", source_port: int = 0
) -> dict[Try, str | None]:
    tries = list(tries)
    answer = host.console_run(f"{prefix}python3 {KNOCKING} knock '{json.dumps(tries)}' {source_port}")
    return dict(zip(tries, json.loads(answer.stdout), strict=True))


def link_local(host: ThrowawayHost) -> str:
    """The address of a host that reaches no further than its switch."""
    (interface,) = json.loads(host.console_run("ip -6 -json address show dev host0").stdout)
    return next(str(one["local"]) for one in interface["addr_info"] if one["scope"] == "link")


def listing(host: ThrowawayHost, table: str = "inet labctl") -> str:
    """A table as the kernel has it, without counters; empty where there is none."""
    return host.console_run(f"nft -s list table {table} 2>/dev/null", check=False).stdout
