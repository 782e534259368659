"""Nothing of a session stays behind, however it ends, and nothing of the machine is different after it."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.host import cleanup
from tests.host.cache import open_cache
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

pytestmark = pytest.mark.host
_UP = [sys.executable, "-m", "tests.host", "up", "--name", "doomed"]
_CLEAN = [sys.executable, "-m", "tests.host", "clean"]
_WITHIN_S = 20
# What a boot could change by accident: settings of the machine that are not of a namespace.
_SETTINGS = ("vm", "kernel", "fs", "net/ipv4", "net/ipv6/conf/all", "net/ipv6/conf/default", "net/core")
# These change by themselves. `neigh` and others of the kind belong to interfaces, also to those of other sessions.
_RESTLESS = (
    "kernel/random/",
    "kernel/ns_last_pid",
    "kernel/pty/nr",
    "fs/dentry-state",
    "fs/quota/",
    "fs/file-nr",
    "fs/inode-",
)
_PER_INTERFACE = ("net/ipv4/conf/lab-", "net/ipv4/neigh/lab-")


def test_a_session_leaves_the_machine_as_it_was() -> None:
    settings, files = _settings(), _surroundings()
    with ThrowawayHosts() as hosts:
        name = hosts.session.name
        hosts.boot("first")
        hosts.boot("second").run("apt-get -q update", sudo=True)
        running = _processes_of(hosts.session.holder)
        assert len(running) > 20
        assert _traces(name)
        assert _settings() == settings

    assert _traces(name) == []
    assert _still_running(running) == []
    assert _settings() == settings
    assert _surroundings() == files


@pytest.mark.parametrize("asked_by", [signal.SIGINT, signal.SIGTERM])
def test_make_host_removes_everything_when_asked_to_end(asked_by: signal.Signals) -> None:
    with _up() as up:
        name, holder = _wait_for_session(up)
        running = _processes_of(holder)
        up.send_signal(asked_by)
        assert up.wait(_WITHIN_S) == 0

    assert _traces(name) == []
    assert _still_running(running) == []


def test_a_killed_owner_takes_everything_along_and_the_rest_is_cleaned_up(
    throwaway_hosts: ThrowawayHosts, throwaway_host: ThrowawayHost
) -> None:
    with _up() as up:
        name, holder = _wait_for_session(up)
        running = _processes_of(holder)
        up.kill()
        up.wait()

    # By the kernel alone: nobody of ours is left to do anything about it.
    _eventually(lambda: _still_running(running) == [])
    _eventually(lambda: _links(name) == [])
    subprocess.run(_CLEAN, check=True, stdout=subprocess.PIPE)

    assert _traces(name) == []
    # And the living were let alone.
    assert _traces(throwaway_hosts.session.name)
    assert throwaway_host.run("true").returncode == 0


def test_a_holder_that_outlives_its_owner_is_ended_by_the_next_session() -> None:
    hosts = ThrowawayHosts()
    hosts.__enter__()  # nobody leaves it
    session = hosts.session
    running = _processes_of(session.holder)
    session._lock.release()  # as if its owner had died, and something else held the pipe open

    subprocess.run(_CLEAN, check=True, stdout=subprocess.PIPE)

    assert _still_running(running) == []
    session._unshare.communicate()
    assert _traces(session.name) == []


def test_a_recycled_process_id_is_not_taken_for_a_holder(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as innocent:
        folder = tmp_path / "00000000"
        folder.mkdir()
        started = cleanup.start_time(innocent.pid)
        state = {"subnet": 0, "owner": 1, "holder": innocent.pid, "holder_started": started - 1}
        (folder / cleanup.STATE).write_text(json.dumps(state))

        cleanup.remove_remains(folder)

        assert innocent.poll() is None
        innocent.kill()
    assert not folder.exists()


@contextmanager
def _up() -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(_UP, stdout=subprocess.PIPE, text=True) as up:
        try:
            yield up
        finally:
            up.kill()


def _wait_for_session(up: "subprocess.Popen[str]") -> tuple[str, int]:
    """The name and the holder of the session that `up` has opened, once its host answers."""
    assert up.stdout is not None
    for line in up.stdout:
        if line.startswith("  labctl deploy "):
            folder = Path(line.split()[-1]).parent
            assert json.loads((folder / cleanup.STATE).read_text())["owner"] == up.pid
            return folder.name, json.loads((folder / cleanup.STATE).read_text())["holder"]
    raise AssertionError("it ended without having booted")


def _traces(session: str) -> list[str]:
    """Everything on this machine that bears the session's name."""
    cgroups = Path("/proc/self/mountinfo").read_text().splitlines()
    roots = [line.split()[4] for line in cgroups if " - cgroup2 " in line]
    traces = [root for root in roots if (Path(root) / cleanup.cgroup_name(session)).exists()]
    traces += [line for line in cgroups if session in line]
    traces += _links(session)
    traces += [str(folder) for folder in (open_cache().sessions / session,) if folder.exists()]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            environment = (process / "environ").read_bytes().split(b"\0")
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if session in command or f"{cleanup.SESSION_VARIABLE}={session}".encode() in environment:
            traces.append(command)
    return traces


def _links(session: str) -> list[str]:
    links = json.loads(subprocess.run(["ip", "-json", "link"], check=True, capture_output=True).stdout)
    return [link["ifname"] for link in links if link["ifname"] == cleanup.uplink_name(session)]


def _surroundings() -> dict[str, object]:
    """What the machine has where the harness might leave something: rules, mounts, files of systemd-nspawn."""
    nft = subprocess.run(["nft", "list", "ruleset"], check=True, capture_output=True, text=True).stdout
    routes = subprocess.run(["ip", "route"], check=True, capture_output=True, text=True).stdout.splitlines()
    return {
        "rules": nft,
        "routes": [route for route in routes if " dev lab-" not in route],
        "mounts": sorted(
            line.split(" ", 3)[3] for line in Path("/proc/self/mountinfo").read_text().splitlines()
        ),
        "run": sorted(str(path) for path in Path("/run").glob("systemd/nspawn*")),
        "tmp": sorted(str(path) for path in Path("/tmp").glob("nspawn*")),
        "resolv.conf": Path("/etc/resolv.conf").read_text(),
    }


def _settings() -> dict[str, str]:
    """Every readable sysctl of the machine that somebody would have to set for it to change."""
    found = {}
    root = Path("/proc/sys")
    for path in (path for part in _SETTINGS for path in (root / part).rglob("*")):
        name = str(path.relative_to(root))
        if name.startswith((*_RESTLESS, *_PER_INTERFACE)) or not path.is_file():
            continue
        try:
            found[name] = path.read_text()
        except (OSError, UnicodeDecodeError):
            continue
    return found


def _processes_of(holder: int) -> dict[int, int]:
    """Process id → start time of all processes in the holder's process namespace and those below it."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            levels = next(
                line for line in (process / "status").read_text().splitlines() if line.startswith("NSpid:")
            )
            if len(levels.split()) > 2 and _descends(int(process.name), holder):
                found[int(process.name)] = cleanup.start_time(int(process.name))
        except OSError:
            continue
    return found


def _descends(process: int, holder: int) -> bool:
    """Whether the process is in the holder's process namespace, or in one below it."""
    holder_namespace = Path(f"/proc/{holder}/ns/pid").stat().st_ino
    chain = process
    while chain > 1:
        if Path(f"/proc/{chain}/ns/pid").stat().st_ino == holder_namespace:
            return True
        chain = int(Path(f"/proc/{chain}/stat").read_text().rpartition(")")[2].split()[1])
    return False


def _still_running(processes: dict[int, int]) -> list[int]:
    alive = []
    for process, started in processes.items():
        try:
            if cleanup.start_time(process) == started:
                alive.append(process)
        except OSError:
            continue
    return alive


def _eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
