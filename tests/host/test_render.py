"""Every rendered service on a real host: Podman's generator and systemd take it without a word; and the lock holds."""

import base64
import io
import tarfile
from collections.abc import Iterator

import pytest

from labctl.edges.transaction_program import PROGRAM, program
from labctl.plan.plan import Plan
from labctl.render import podman
from labctl.render.host import HostFacts
from labctl.transaction.manifest import FILE_NAME
from tests.host.converged import converged_layer
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost
from tests.labctl.plan.plans import claims, plan, runs
from tests.labctl.render.cases import case_plan, facts, lines, rendered, texts

pytestmark = pytest.mark.host

_STAGE = "/run/labctl-rendered"
_UNITS = "/etc/systemd/system"
_LOG = "/run/labctl-lock-test"
# The check that every apply makes on the host before it touches anything, by the program that makes it there.
_CHECK = f"""
import sys
sys.path.insert(0, "{PROGRAM}")
from pathlib import Path
from labctl.errors import LabctlError
from labctl.transaction.checking import refuse_bad_units, refuse_damaged
from labctl.transaction.manifest import parse
from labctl.transaction.programs import HostPrograms
folder = Path("{_STAGE}")
text = (folder / "{FILE_NAME}").read_text()
manifest = parse(text, "{FILE_NAME}")
try:
    refuse_damaged(folder, manifest, text, None)
    refuse_bad_units(folder, manifest, HostPrograms())
except LabctlError as problem:
    print(problem)
"""


@pytest.fixture(scope="module")
def host(throwaway_hosts: ThrowawayHosts) -> Iterator[ThrowawayHost]:
    booted = throwaway_hosts.boot("aibox", layer=converged_layer(throwaway_hosts))
    _send(booted, {PROGRAM: program()})
    yield booted
    throwaway_hosts.destroy(booted)


def _send(host: ThrowawayHost, files: dict[str, bytes]) -> None:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tar:
        for path, data in files.items():
            member = tarfile.TarInfo(path.lstrip("/"))
            member.size, member.mode = len(data), 0o644
            tar.addfile(member, io.BytesIO(data))
    packed = base64.b64encode(content.getvalue()).decode()
    host.console_run(f"echo {packed} | base64 -d | tar -xz --no-same-owner -C /")


def _checked(host: ThrowawayHost, there: Plan, found: HostFacts) -> str:
    """What the host has against it."""
    made = rendered(there, found)
    stage = {**made.files, FILE_NAME: made.manifest.text().encode()}
    host.console_run(f"rm -rf {_STAGE}")
    _send(host, {f"{_STAGE}/{path}": content for path, content in stage.items()})
    script = base64.b64encode(_CHECK.encode()).decode()
    return host.console_run(f"echo {script} | base64 -d | python3 -I -").stdout.strip()


def test_every_service_is_taken_without_a_word(host: ThrowawayHost) -> None:
    here = podman.version(host.run("podman --version").stdout)
    assert _checked(host, case_plan(), facts(here)) == ""


def test_what_an_older_podman_is_told_is_taken_too(host: ThrowawayHost) -> None:
    assert _checked(host, case_plan(), facts((4, 9))) == ""


def test_a_key_that_this_podman_does_not_know_is_seen(
    host: ThrowawayHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misspelt(section: str, key: str, value: str, _: podman.Version) -> tuple[str, str]:
        return "ReloadCmd" if (section, key) == ("Container", "LogDriver") else key, value

    monkeypatch.setattr(podman, "line", misspelt)
    assert "unsupported key 'ReloadCmd'" in _checked(host, case_plan(), facts())


def _stand_in(container: str, command: str) -> str:
    """A stand-in for a rendered service: its dependencies, its lock and when that is let go, around another program."""
    keys = [
        f"{key}={each}" for key in ("Wants", "After") for each in lines(container, key) if "_start" in each
    ]
    stops = [f"{key}={each}" for key in ("ExecStartPost", "ExecStopPost") for each in lines(container, key)]
    service = ["Type=oneshot", "RemainAfterExit=yes", f"ExecStart=/bin/sh -c '{command}'", *stops]
    return "\n".join(["[Unit]", *keys, "[Service]", *service, ""])


def test_of_several_on_one_card_one_loads_at_a_time(host: ThrowawayHost) -> None:
    names = ("first", "second", "third")
    there = {name: runs("ollama", cards=claims(first=1000)) for name in names}
    # It needs both cards, and waits for whoever has one of them.
    there["both"] = runs("ollama", cards=claims(first=1000, second=1000))
    there["fails"] = runs("ollama", cards=claims(first=1000))
    found = texts(rendered(plan(there)))
    units = {}
    for name in there:
        command = f"echo begin {name} >>{_LOG}; sleep 1; echo end {name} >>{_LOG}"
        if name == "fails":
            command += "; exit 1"
        lock = f"labctl-{name}_start.service"
        units[f"{_UNITS}/{lock}"] = found[f"systemd/{lock}"].encode()
        container = found[f"units/labctl-{name}.container"]
        units[f"{_UNITS}/labctl-{name}.service"] = _stand_in(container, command).encode()
    _send(host, units)
    every = " ".join(f"labctl-{name}.service" for name in there)
    host.console_run(f"rm -f {_LOG}; systemctl daemon-reload; systemctl start {every} || true", timeout_s=60)
    said = host.console_run(f"cat {_LOG}").stdout.splitlines()
    assert len(said) == 2 * len(there)
    for begin, end in zip(said[::2], said[1::2], strict=True):
        assert (begin.split()[0], end.split()[0], begin.split()[1]) == ("begin", "end", end.split()[1])
    locks = " ".join(f"labctl-{name}_start.service" for name in there)
    states = host.console_run(f"sleep 1; systemctl is-active {locks}", check=False).stdout.split()
    assert states == ["inactive"] * len(there)


def test_a_start_that_is_called_off_lets_go_of_the_card(host: ThrowawayHost) -> None:
    there = {name: runs("ollama", cards=claims(first=1000)) for name in ("holder", "waiting")}
    found = texts(rendered(plan(there)))
    units = {}
    for name in there:
        lock = f"labctl-{name}_start.service"
        units[f"{_UNITS}/{lock}"] = found[f"systemd/{lock}"].encode()
        container = found[f"units/labctl-{name}.container"]
        units[f"{_UNITS}/labctl-{name}.service"] = _stand_in(container, "sleep 300").encode()
    _send(host, units)
    host.console_run(
        "systemctl daemon-reload; systemctl start --no-block labctl-holder; sleep 1; "
        "systemctl start --no-block labctl-waiting; sleep 1; systemctl stop labctl-waiting"
    )
    asked = "systemctl is-active labctl-holder_start labctl-waiting_start"
    assert host.console_run(asked, check=False).stdout.split() in (
        ["active", "inactive"],
        ["active", "activating"],
    )
    # Whoever still waits for the lock gets it now, finds that nobody wants it, and goes.
    host.console_run("systemctl stop labctl-holder; sleep 2")
    assert host.console_run(asked, check=False).stdout.split() == ["inactive", "inactive"]
