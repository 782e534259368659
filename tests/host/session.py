"""One harness session: a folder, a lock, and the namespaces in which all of it runs.

Everything a session starts (hosts, router, package cache) lives in one process, one mount and one network
namespace, made by one `unshare` whose first process, the holder, only waits for its standard input to end. The
owner (pytest, `make host`) holds the other end of that pipe. However the owner goes, also by SIGKILL, the pipe
ends, the holder exits, and the kernel ends every process of the namespace and with them every mount, link and
firewall rule. Nothing of it was ever visible in the machine's own namespaces, but for the end of one cable
(network.py). What is left to clean up by hand is a folder and an empty control group, see cleanup.py.
"""

import json
import os
import secrets
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.host import cleanup
from tests.host.cache import Cache, remove_old_files
from tests.host.commands import run
from tests.host.locks import FileLock, locked
from tests.host.subnet import Subnet, free_subnet

# systemd 257 wants a pure cgroup-v2 view. /run is private so that systemd-nspawn leaves nothing in the machine's.
# An ignored SIGCHLD, which `cat` inherits, makes the kernel reap orphans: the holder is their init.
_HOLDER = """
set -eu
read -r holder _ < /proc/self/stat
mount -t proc proc /proc
umount --recursive --lazy /sys/fs/cgroup
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p "/sys/fs/cgroup/$1"
trap '' CHLD
echo "$holder"
exec cat > /dev/null
"""


@dataclass(frozen=True)
class Session:
    """A live session; `close` ends it.

    name: eight letters and digits, in every name it leaves visible. folder: its disk. holder: the process id of
    its holder as the machine sees it.
    """

    name: str
    folder: Path
    subnet: Subnet
    cache: Cache
    holder: int
    _unshare: subprocess.Popen[str]
    _lock: FileLock

    def inside(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` in this session's namespaces, so it cannot outlive the session."""
        return ["nsenter", "--target", str(self.holder), "--mount", "--net", "--pid", "--", *argv]

    def run(self, argv: Sequence[str], *, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `argv` inside the session to its end."""
        return run(self.inside(argv), check=check)

    def start(
        self,
        argv: Sequence[str],
        log: Path,
        *,
        machine_mounts: bool = False,
    ) -> subprocess.Popen[bytes]:
        """Start a daemon that ends with the session at the latest; its output goes to `log`.

        machine_mounts: it sees the machine's file systems and network, as slirp4netns must.
        """
        entered = self.inside(argv)
        if machine_mounts:
            entered = ["nsenter", "--target", str(self.holder), "--pid", "--", *argv]
        with log.open("ab") as output:
            return subprocess.Popen(
                entered,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, cleanup.SESSION_VARIABLE: self.name},
                start_new_session=True,  # a Ctrl-C is for the owner, who then ends things in order
            )

    def path(self, path: Path) -> Path:
        """How the machine reaches `path` of the session's mount namespace, mounted hosts included."""
        return Path(f"/proc/{self.holder}/root{path}")

    @property
    def cgroup(self) -> str:
        """The session's control group, relative to the cgroup2 mount."""
        return cleanup.cgroup_name(self.name)

    def close(self) -> None:
        """End everything the session runs and delete its folder."""
        with locked(self.cache.sessions_lock):
            cleanup.remove_remains(self.folder)
            self._lock.release()
        self._unshare.communicate()


def open_session(cache: Cache) -> Session:
    """Start a session in its own namespaces; what dead sessions left is removed first.

    Raises `Failed` when the machine lacks what the namespaces need.
    """
    remove_old_files(cache)
    with locked(cache.sessions_lock):
        cleanup.remove_dead_sessions(cache)
        name = secrets.token_hex(4)
        folder = cache.sessions / name
        subnet = free_subnet(_subnets_in_use(cache))
        (folder / "hosts").mkdir(parents=True, mode=0o755)
        lock = FileLock(folder / cleanup.OWNER_LOCK)
        lock.acquire()
        (folder / cleanup.STATE).write_text(json.dumps({"subnet": subnet.number, "owner": os.getpid()}))
    try:
        unshare, holder = _start_holder(cleanup.cgroup_name(name))
    except BaseException:
        cleanup.remove_remains(folder)
        lock.release()
        raise
    state = {
        "subnet": subnet.number,
        "owner": os.getpid(),
        "holder": holder,
        "holder_started": cleanup.start_time(holder),
    }
    (folder / cleanup.STATE).write_text(json.dumps(state))
    return Session(name, folder, subnet, cache, holder, unshare, lock)


def _start_holder(cgroup: str) -> tuple[subprocess.Popen[str], int]:
    unshare = subprocess.Popen(
        ["unshare", "--mount", "--net", "--pid", "--fork", "--propagation", "private"]
        + ["sh", "-c", _HOLDER, "holder", cgroup],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert unshare.stdout is not None
    answer = unshare.stdout.readline().strip()
    if not answer:
        _, complaint = unshare.communicate()
        raise Failed(
            f"cannot make the namespaces of a test session: {complaint.strip()}",
            hint="Mount, network and process namespaces and cgroup v2 must be allowed to root on this machine",
        )
    return unshare, int(answer)


def _subnets_in_use(cache: Cache) -> set[int]:
    numbers = set()
    for state in cache.sessions.glob(f"*/{cleanup.STATE}"):
        with suppress(OSError, ValueError):
            numbers.add(int(json.loads(state.read_text())["subnet"]))
    return numbers
