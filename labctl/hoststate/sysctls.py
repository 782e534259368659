"""Kernel settings: the file that sets them at boot, and their values now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.resource import Resource


def sysctls(name: str, path: str, values: Mapping[str, int], facts: HostFacts) -> Iterator[Resource]:
    """Yield the file under /etc/sysctl.d (Debian 13 reads no /etc/sysctl.conf any more) and the live values.

    In a container most of them belong to the machine outside and are read-only: the file is written, the live values
    are left alone, and a check says so.
    """
    lines = [f"{key} = {value}" for key, value in sorted(values.items())]
    header = "# Managed by labctl: change base.sysctls in the inventory instead.\n"
    yield Files(name, (File(path, header + "\n".join(lines) + "\n"),))
    if facts.container:
        return
    paths = " ".join("/proc/sys/" + key.replace(".", "/") for key in sorted(values))
    yield Condition(
        f"{name} in force",
        probe=f"cat {paths}",
        wanted=" ".join(str(values[key]) for key in sorted(values)),
        apply=f"sysctl -q -p {path}",
    )
