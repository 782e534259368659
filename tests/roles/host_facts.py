"""Facts of the hosts that the role tests speak of."""

from labctl.hoststate import facts
from labctl.hoststate.facts import HostFacts


def host_facts(
    os_release: str = "debian 13",
    codename: str = "trixie",
    container: str = "none",
    extra: tuple[str, ...] = (),
) -> HostFacts:
    """A bare host, as the facts script would describe it."""
    lines = [
        *(
            "uid 1000",
            "sudo yes",
            f"os {os_release}",
            f"codename {codename}",
            "arch x86_64",
            "kernel 6.12.107",
        ),
        *(
            "ssh-ports 22",
            "init systemd",
            f"container {container}",
            "free 90000 90000",
            "memory 64000",
            *extra,
            "end",
        ),
    ]
    return facts.parse("\n".join(lines))
