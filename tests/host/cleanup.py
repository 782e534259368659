"""Remove what sessions left whose owner is gone; never anything of a live session, nor anything not ours.

A session is dead when its owner's lock can be taken: the kernel drops that lock with the owner. Its processes,
mounts, links and rules have then gone with its namespaces (session.py); here its folder and its control group go.
"""

import json
import os
import select
import shutil
import signal
from contextlib import suppress
from pathlib import Path

from labctl.errors import Failed
from tests.host.cache import Cache
from tests.host.commands import run
from tests.host.locks import FileLock

OWNER_LOCK = "owner.lock"
STATE = "session.json"
# In the environment of everything a session starts on this machine, so that it can be told whose it is.
SESSION_VARIABLE = "LABCTL_TEST_SESSION"
_GONE_WITHIN_S = 10
# A control group can be removed from any cgroup2 mount; one of our own spares looking for the machine's.
_REMOVE_CGROUP = """
set -eu
umount --recursive --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
if [ -d "/sys/fs/cgroup/$1" ]; then find "/sys/fs/cgroup/$1" -depth -type d -exec rmdir {} +; fi
"""


def cgroup_name(session_name: str) -> str:
    """The control group of a session, below the root of the cgroup2 hierarchy."""
    return f"labctl-tests-{session_name}"


def uplink_name(session_name: str) -> str:
    """The interface of this machine on the session's switch, see network.py."""
    return f"lab-{session_name}"


def remove_dead_sessions(cache: Cache) -> list[str]:
    """Clean up after every session whose owner is gone; returns their names. Call with `sessions_lock` held."""
    removed = []
    for folder in sorted(cache.sessions.glob("*/")):
        lock = FileLock(folder / OWNER_LOCK)
        if not lock.acquire(wait=False):
            continue
        remove_remains(folder)
        lock.release()
        removed.append(folder.name)
    return removed


def remove_remains(folder: Path) -> None:
    """End the holder of a session, should it still run, and delete the session's link, control group and folder."""
    _end_holder(folder)
    # It goes with the namespace at its other end, which the kernel takes apart some time after its last process.
    run(["ip", "link", "delete", uplink_name(folder.name)], check=False)
    run(
        ["unshare", "--mount", "--propagation", "private", "--", "sh", "-c", _REMOVE_CGROUP]
        + ["remove-cgroup", cgroup_name(folder.name)]
    )
    shutil.rmtree(folder)


def start_time(process: int) -> int:
    """When a process started, in clock ticks after boot: with its id it names one process for good."""
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19])


def _end_holder(folder: Path) -> None:
    try:
        state = json.loads((folder / STATE).read_text())
        holder, started = int(state["holder"]), int(state["holder_started"])
    except (OSError, ValueError, KeyError):
        return  # it died before it had a holder
    with suppress(ProcessLookupError, FileNotFoundError):
        descriptor = os.pidfd_open(holder)
        try:
            if start_time(holder) != started:
                return
            signal.pidfd_send_signal(descriptor, signal.SIGKILL)
            _wait_until_gone(descriptor, holder)
        finally:
            os.close(descriptor)


def _wait_until_gone(descriptor: int, process: int) -> None:
    if not select.select([descriptor], [], [], _GONE_WITHIN_S)[0]:
        raise Failed(f"process {process} of a dead test session does not end", hint="Look at it with ps")
