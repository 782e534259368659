"""An apply that is cut off at a point; what the host makes of it by itself, and what the next apply does."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self

from labctl.plan.plan import PlannedWorkload
from labctl.render import names
from tests.host.apply_kill_points import BEGUN, PULL, STAGED, UNDO, UNPACKING, WAIT, ApplyPoint
from tests.host.apply_lab import PROGRAMS, ApplyLab, ends, serves
from tests.host.converged import IMAGE
from tests.host.simulated_driver import write
from tests.host.transaction_lab import NO_UNIT_OPEN

Versions = Mapping[str, str]
_ENDS_WITHIN_S = 120
_OUT_S = 1.5  # what the cable is out for at least
_COUNTS = """#!/usr/bin/python3 -I
# Counts on from where it was: a line each tenth of a second, each on the disk before the next.
import os, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit())
with open("/kept/lines", "a+") as file:
    file.seek(0)
    number = len(file.readlines())
    while True:
        number += 1
        file.write(f"{number}\\n")
        file.flush()
        os.fsync(file.fileno())
        time.sleep(0.1)
"""
_LINES = "/var/lib/containers/storage/volumes/{}/_data/lines"
_SLOW = "/run/simulated-slow-disk"
# SIMULATED: a disk so slow that a stage takes its time, at two steps of it.
_SLOW_TAR = f"""#!/bin/sh
case "$1" in -xz) touch {_SLOW}; sleep 2 ;; esac
exec /usr/bin/tar "$@"
"""
_SLOW_MV = f"""#!/bin/sh
/usr/bin/mv "$@" || exit
case "$1" in -T) touch {_SLOW}; sleep 2 ;; esac
"""
_SLOW_STEPS = {UNPACKING: ("tar", _SLOW_TAR), STAGED: ("mv", _SLOW_MV)}
_OWN = "/usr/local/sbin"
_FACTS = """
exec 2>&1
cd /etc/containers/systemd/labctl
echo "disk $(sed -n 's,^ContainerName=labctl-,,p; s,^Exec=.*[ /],,p' *.container | tr '\\n' ' ')"
echo "ps $(podman ps -a --external --format json | tr -d '\\n')"
echo "networks $(podman network ls --format '{{.Name}}' | grep ^labctl- | tr '\\n' ' ')"
{
  diff -rq . /var/lib/labctl/generations/current/units
  for unit in /var/lib/labctl/generations/current/systemd/*; do cmp "$unit" /etc/systemd/system/"${unit##*/}"; done
  find /etc/containers /etc/systemd /etc/labctl /usr/local/lib/labctl /var/lib/labctl \\
    '(' -name '*.labctl-new' -o -name '*.staged' -o -path '*/stages/.new.*' ')' -prune
  ls -d /var/lib/labctl/transaction
  systemctl list-units --failed --no-legend --plain 'labctl*'
  systemctl list-units --no-legend --plain --state=activating,deactivating 'labctl*'
} 2>&1 | grep -v '^ls: ' | sed 's/^/left /'
"""


@dataclass
class KillLab:
    """images: each is pulled once. number: of the home that was wanted last; `is_settled` when it runs."""

    lab: ApplyLab
    images: Iterator[str]
    number: int = 0
    is_settled: bool = False

    def __post_init__(self) -> None:
        write(self.lab.host, f"{PROGRAMS[1:]}/counts", _COUNTS, mode=0o755)
        # The image has nothing of its own; what a person made is left as it is.
        usr = names.volume("store", "usr")
        self.lab.root(f"podman volume create --opt type=none --opt o=bind --opt device=/usr {usr}")
        self.lab.impatient("web")

    def home(self, number: int, *, image: str = IMAGE, broken: bool = False) -> dict[str, PlannedWorkload]:
        """From one to the next two change, one comes and one goes; it that changes first keeps data in a volume."""
        store = replace(
            serves(),
            args=(f"{PROGRAMS}/counts", str(number)),
            data=None,
            volumes={"usr": "/usr", "kept": "/kept"},
        )
        web = serves(str(number), card=0)
        return {
            "store": store,
            "web": replace(web, args=ends().args) if broken else web,
            "odd" if number % 2 else "even": replace(serves(), image=image),
        }

    def settle(self) -> None:
        """Let a home run, whatever an attempt before did."""
        if self.is_settled:
            return
        self.lab.root(NO_UNIT_OPEN)
        self.number += 1
        run = self.lab.apply(self.home(self.number))
        assert run.exit_code == 0, run.stdout + run.stderr
        self.is_whole(_versions(self.number), since=0)
        self.is_settled = True

    def attempt(self, point: ApplyPoint) -> None:
        """Cut an apply off there. Fails where the host does not come to a good end by itself, or the next apply."""
        begun_at = time.monotonic()
        self.is_settled = False
        self.number += 1
        old, new = _versions(self.number - 1), _versions(self.number)
        image = next(self.images) if point.place == PULL else IMAGE
        wanted = self.home(self.number, image=image)
        broken = self.home(self.number, broken=True)
        kept = self._lines()
        with _Cut(self.lab, point, broken if point.place == UNDO else wanted) as cut:
            cut.off()
        # At boot files are put back; a network of Podman's that nobody is on goes with the next apply.
        may_stay = new if point.kind == "power cut" else ()
        on = self.is_whole(old, *([] if point.place == UNDO else [new]), since=kept, may_stay=may_stay)
        cut.client_said(new=on == new)
        print(f"the host ended on the {'new' if on == new else 'old'} one by itself")
        run = self.lab.apply(wanted)
        told = "unchanged" if on == new else "done"
        assert (run.exit_code, run.host("aibox")["status"]) == (0, told), run.stdout + run.stderr
        self.is_whole(new, since=kept)
        again = self.lab.apply(wanted)
        assert (again.exit_code, again.host("aibox")["status"]) == (0, "unchanged"), again.stdout
        self.is_settled = True
        print(f"took {time.monotonic() - begun_at:.1f} s")

    def is_whole(self, *choices: Versions, since: int, may_stay: Collection[str] = ()) -> Versions:
        """Wait until the host has come to rest; which choice it is on, in every respect.

        since: lines that the store's volume had before. may_stay: workloads whose network may be there yet.
        """
        self.lab.root(NO_UNIT_OPEN)
        deadline = time.monotonic() + 60
        while True:
            seen = self._seen(may_stay)
            if not seen.wrong and seen.disk in choices:
                break
            assert time.monotonic() < deadline, (seen, choices)
            time.sleep(0.3)
        assert self._lines() >= since
        return seen.disk

    def _lines(self) -> int:
        """How many the store's volume has; none of them is missing."""
        lines = self.lab.root(f"cat {_LINES.format(names.volume('store', 'kept'))}").splitlines()
        assert lines == [str(number + 1) for number in range(len(lines))]
        return len(lines)

    def _seen(self, may_stay: Collection[str]) -> _Seen:
        found = [line.partition(" ") for line in self.lab.root(_FACTS, check=False).splitlines()]
        said = {kind: text for kind, _, text in found if kind != "left"}
        words = said["disk"].split()
        disk = dict(zip(words[::2], words[1::2], strict=True))
        runs, wrong = {}, [text for kind, _, text in found if kind not in ("disk", "ps", "networks")]
        for each in json.loads(said["ps"] or "[]"):
            name, command = each["Names"][0].removeprefix("labctl-"), each["Command"] or ["?"]
            runs[name] = command[-1]
            if each["State"] != "running":
                wrong.append(f"{name} is {each['State']}")
        networks = {each.removeprefix("labctl-") for each in said["networks"].split()}
        if runs != disk:
            wrong.append(f"runs {runs}")
        if not set(disk) <= networks <= {*disk, *may_stay}:
            wrong.append(f"networks {networks}")
        return _Seen(disk, wrong)


@dataclass
class _Seen:
    """The versions in the units on the disk; and what does not go with them."""

    disk: dict[str, str]
    wrong: list[str]


def _versions(number: int) -> Versions:
    return {"store": str(number), "web": str(number), "odd" if number % 2 else "even": "1"}


class _Cut:
    """An apply that has begun; leaving the `with` block ends what is left of it, and puts back what was cut."""

    def __init__(self, lab: ApplyLab, point: ApplyPoint, wanted: Mapping[str, PlannedWorkload]) -> None:
        self._lab, self._point = lab, point
        self._cable_is_out = False
        self._said: tuple[int, str] | None = None
        if point.place in _SLOW_STEPS:
            name, text = _SLOW_STEPS[point.place]
            write(lab.host, f"{_OWN[1:]}/{name}", text, mode=0o755)
        if point.place == WAIT:
            lab.plug_in(held={0: lab.pid("web")})
        self._since = json.loads(lab.root("journalctl -q -n 1 -o json --output-fields=MESSAGE"))["__CURSOR"]
        self._client = lab.begin(wanted)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.kill()
        self._client.communicate()
        if self._cable_is_out:
            self._lab.host.restore_cable()
        if not self._lab.host.machine.is_on:
            self._lab.host.power_on()
        self._end_simulations()

    def off(self) -> None:
        """Come to the point, and cut; a host without its cable comes to an end before it has it again."""
        self._reach()
        time.sleep(self._point.seconds)
        host, client = self._lab.host, self._client
        match self._point.kind:
            case "client killed":
                client.kill()
            case "cable cut":
                host.cut_cable()
                self._cable_is_out = True
                self._end_simulations()
                time.sleep(_OUT_S)
                if self._point.place != PULL:  # which needs it
                    self._lab.root(NO_UNIT_OPEN)
                self._kill_unless_left_alone()
                host.restore_cable()
                self._cable_is_out = False
            case "power cut":
                host.power_cut()
                self._kill_unless_left_alone()
                self._lab.plug_in()
                host.power_on()
        self._end_simulations()
        if self._point.then == "left alone":
            out, err = client.communicate(timeout=_ENDS_WITHIN_S)
            self._said = client.returncode, out + err

    def client_said(self, *, new: bool) -> None:
        """It that was left alone has told how the host ended."""
        if self._said is not None:
            assert self._said[0] == (0 if new else 1), self._said[1]

    def _kill_unless_left_alone(self) -> None:
        if self._point.then != "left alone":
            self._client.kill()

    def _end_simulations(self) -> None:
        """Memory is given back, and the disk is fast again."""
        self._lab.plug_in()
        self._lab.root(f"rm -f {_OWN}/tar {_OWN}/mv {_SLOW}")

    def _reach(self) -> None:
        place = self._point.place
        if place == BEGUN:
            return
        if place in _SLOW_STEPS:
            self._wait(lambda: self._holds(f"test -e {_SLOW}"))
        else:
            said = f"journalctl -q -o cat --after-cursor='{self._since}' -t labctl-transaction"
            self._wait(lambda: self._holds(f"{said} | grep -qF '{place}'"))

    def _holds(self, command: str) -> bool:
        return self._lab.host.console_run(command, check=False).returncode == 0

    def _wait(self, reached: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _ENDS_WITHIN_S
        while not reached():
            is_over = self._client.poll() is not None
            if (is_over and not reached()) or time.monotonic() > deadline:
                raise AssertionError(f"it never came to {self._point.place}: {self._told()}")
            time.sleep(0.05)

    def _told(self) -> str:
        self._client.kill()
        try:
            return "".join(self._client.communicate(timeout=10))
        except subprocess.TimeoutExpired:
            return "nothing"
