"""The test network: a switch, a home router with a way out, and one cable to this machine.

    host0 of each guest ──cable── switch (bridge) ── router ── slirp4netns ──> the machine's network
                                     │
                            uplink of this machine (the "laptop" that deploys)

Switch, router and its NAT rules live in the session's network namespace. slirp4netns carries packets out as
ordinary sockets of this machine, so the machine forwards nothing: no sysctl, no route and no firewall rule of it
changes. All it has of ours is one interface, which goes when the namespace at its other end goes.
IPv4 reaches the outside; IPv6 is a unique local prefix (RFC 4193) that ends at the router.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

from labctl.errors import Failed
from tests.host import cleanup, package_cache
from tests.host.commands import run
from tests.host.session import Session
from tests.host.subnet import Subnet

SWITCH = "lab-switch"
PACKAGE_CACHE_PORT = 3142
_STARTED_WITHIN_S = 10
# slirp4netns' own, fixed addresses; the guests only ever see the router.
_TAP_ADDRESS, _TAP_GATEWAY, _TAP_DNS = "10.0.2.100/24", "10.0.2.2", "10.0.2.3"
_ROUTER_RULES = f"""
table inet router {{{{
    chain name_service {{{{
    }}}}
    chain prerouting {{{{
        type nat hook prerouting priority dstnat
        iifname "{SWITCH}" jump name_service
        iifname "{SWITCH}" ip daddr != {{subnet.network4}} tcp dport 80 redirect to :{PACKAGE_CACHE_PORT}
    }}}}
    chain postrouting {{{{
        type nat hook postrouting priority srcnat
        oifname "tap0" masquerade
    }}}}
}}}}
"""


def build(session: Session) -> None:
    """Put up switch, router, way out and the cable to this machine."""
    subnet = session.subnet
    _batch(
        session,
        f"""
        link set lo up
        link add {SWITCH} type bridge mcast_snooping 0
        addr add {subnet.router4}/24 dev {SWITCH}
        addr add {subnet.router6}/64 dev {SWITCH} nodad
        link set {SWITCH} up
        """,
    )
    session.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"])
    session.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/forwarding"])
    # Where the bridge module passes frames to the router's rules, hosts could no longer talk among themselves.
    session.run(
        ["sh", "-c", "for f in /proc/sys/net/bridge/bridge-nf-call-*; do [ ! -e $f ] || echo 0 > $f; done"]
    )
    _nft(session, _ROUTER_RULES.format(subnet=subnet))
    _plug_in_this_machine(session)
    _connect_outside(session, session.folder / "slirp4netns.log")
    _start_package_cache(session, session.folder / "package_cache.log")


def set_cable(session: Session, link: str, *, connected: bool) -> None:
    """Plug the cable of a guest in or pull it out; the guest sees its carrier come and go."""
    session.run(["ip", "link", "set", link, "up" if connected else "down"])


def set_uplink(session: Session, *, connected: bool) -> None:
    """Connect the router to the outside, or leave the test network alone with itself."""
    if connected:
        _batch(session, f"link set tap0 up\nroute add default via {_TAP_GATEWAY}")
        _nft(session, _name_service(session.subnet))
    else:
        _batch(session, "link set tap0 down")
        # The router refuses questions it cannot pass on; left to time out, each would take half a minute.
        _nft(session, "flush chain inet router name_service")


def _plug_in_this_machine(session: Session) -> None:
    uplink, subnet = cleanup.uplink_name(session.name), session.subnet
    run(
        ["ip", "link", "add", uplink, "type", "veth"]
        + ["peer", "name", "laptop", "netns", str(session.holder)]
    )
    _batch(session, f"link set laptop master {SWITCH} up")
    run(["ip", "addr", "add", f"{subnet.laptop4}/24", "dev", uplink])
    # Fails where this machine has IPv6 switched off; the guests still have it among themselves.
    run(["ip", "addr", "add", f"{subnet.laptop6}/64", "dev", uplink, "nodad"], check=False)
    run(["ip", "link", "set", uplink, "up"])


def _connect_outside(session: Session, log: Path) -> None:
    session.start(
        ["slirp4netns", "--mtu=1500", "--disable-host-loopback", "--netns-type=path"]
        + [f"/proc/{session.holder}/ns/net", "tap0"],
        log,
        machine_mounts=True,
    )
    _wait_for(lambda: session.run(["ip", "link", "show", "tap0"], check=False).returncode == 0, log)
    _batch(session, f"addr add {_TAP_ADDRESS} dev tap0")
    set_uplink(session, connected=True)


def _start_package_cache(session: Session, log: Path) -> None:
    program = str(Path(package_cache.__file__))
    namespace, port = f"/proc/{session.holder}/ns/net", str(PACKAGE_CACHE_PORT)
    session.start(
        [sys.executable, program, namespace, port, str(session.cache.packages)], log, machine_mounts=True
    )
    _wait_for(lambda: package_cache.READY in log.read_text(), log)


def _wait_for(condition: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + _STARTED_WITHIN_S
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f"it did not start: {log.read_text()[-1000:].strip()}", where=log.stem)
        time.sleep(0.02)


def _name_service(subnet: Subnet) -> str:
    return f"""
    add rule inet router name_service ip daddr {subnet.router4} udp dport 53 dnat ip to {_TAP_DNS}
    add rule inet router name_service ip daddr {subnet.router4} tcp dport 53 dnat ip to {_TAP_DNS}
    """


def _nft(session: Session, rules: str) -> None:
    run(session.inside(["nft", "-f", "-"]), input_text=rules)


def _batch(session: Session, commands: str) -> None:
    run(
        session.inside(["ip", "-batch", "-"]),
        input_text="\n".join(line.strip() for line in commands.splitlines()),
    )
