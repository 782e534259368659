"""`make bench`: a whole GPU host from Debian 13 with kernel headers, by labctl and by a hand-written shell script.

Both install the distribution's real driver, whose module dkms builds, and CUDA 12's real toolkit, reboot, and limit two
simulated cards. That both end with the same packages and limits is checked; nothing about a time is.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from labctl.errors import Failed
from tests.bench.measurement import Ratio, Series
from tests.bench.on_hosts import on_hosts
from tests.host.gpu_box import LIMITS, GpuBox, equip, with_headers
from tests.host.hosts import ThrowawayHosts
from tests.host.simulated_driver import write
from tests.host.stand_in_repository import StandIn

SCRIPT = Path(__file__).with_name("shell") / "gpu_host.sh"
_SCRIPT_THERE = "usr/local/sbin/gpu_host.sh"
_TIMEOUT_S = 3600
_WATTS = 280
_PACKAGES = "dpkg-query -W -f '${db:Status-Status} ${Package}\\n' | sed -n 's/^installed //p' | sort"


def main() -> int:
    """Run the benchmark; returns the exit code."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    arguments.add_argument(
        "--rounds", type=int, default=1, help="each takes two builds of the driver (default 1)"
    )
    rounds: int = arguments.parse_args().rounds
    return on_hosts(lambda hosts, folder: compare(hosts, folder, rounds))


def compare(
    hosts: ThrowawayHosts, folder: Path, rounds: int, stand_ins: tuple[StandIn, ...] = ()
) -> tuple[Series, Series]:
    """Print and return what labctl and the script took, taking turns, each on a bare host of its own.

    stand_ins: packages instead of the real driver. Raises Failed when the hosts end otherwise than one another.
    """
    kind = "stand-ins of driver and CUDA" if stand_ins else "the real driver and CUDA"
    print(
        f"Debian 13 with kernel headers becomes a GPU host: {kind}, simulated cards."
        f"\nPackages come from a cache on this machine; {os.cpu_count()} cores, load before {os.getloadavg()[0]:.1f}"
    )
    with_it(hosts, folder, stand_ins, lambda box: _script(box, "download"))
    taken: dict[str, list[float]] = {"script": [], "labctl": []}
    for _ in range(rounds):
        ends: dict[str, tuple[str, str]] = {}
        for name, work in (("script", _by_hand), ("labctl", _by_labctl)):
            seconds, ends[name] = with_it(hosts, folder, stand_ins, work)
            taken[name].append(seconds)
        _same(ends)
    nothing = (0.0,) * rounds  # the hosts' own work is not the client's
    ours, theirs = (Series(tuple(taken[name]), nothing) for name in ("labctl", "script"))
    print(f"\n    labctl deploy              {ours.median:7.1f} s")
    print(f"    shell script               {theirs.median:7.1f} s")
    print(f"    ratio, aim 1.15 or less   {Ratio(ours, theirs)}")
    return ours, theirs


def with_it(
    hosts: ThrowawayHosts, folder: Path, stand_ins: tuple[StandIn, ...], work: Callable[[GpuBox], object]
) -> tuple[float, tuple[str, str]]:
    """Seconds that `work` took on a bare host, and the packages and limits that it had then."""
    # The kernel that runs here is not the host's own, and has no headers in its archive.
    host = hosts.boot("gpubench", layer=with_headers(hosts))
    try:
        box = equip(host, folder, stand_ins=stand_ins)
        write(host, _SCRIPT_THERE, SCRIPT.read_bytes(), mode=0o755)
        began = time.monotonic()
        work(box)
        seconds = time.monotonic() - began
        return seconds, (box.root(_PACKAGES), box.root(LIMITS, check=False))
    finally:
        hosts.destroy(host)


def _by_labctl(box: GpuBox) -> None:
    run = box.labctl("deploy")
    if run.exit_code != 0:
        raise Failed(f"exit code {run.exit_code}: {run.stdout}{run.stderr}"[-800:], where="labctl deploy")


def _by_hand(box: GpuBox) -> None:
    _script(box, "install")
    box.host.reboot()
    box.host.wait_running()
    box.host.run(f"/{_SCRIPT_THERE} limit {_WATTS}", sudo=True)


def _script(box: GpuBox, verb: str) -> None:
    repository = box.settings["container_toolkit"]["repository"]
    box.host.run(
        f"/{_SCRIPT_THERE} {verb} {repository['url']} {repository['key_url']} >/var/log/by-hand.log 2>&1",
        sudo=True,
        timeout_s=_TIMEOUT_S,
    )


def _same(ends: dict[str, tuple[str, str]]) -> None:
    """Nobody was faster by doing less."""
    packages = {name: set(end[0].splitlines()) for name, end in ends.items()}
    if more := packages["labctl"] ^ packages["script"]:
        raise Failed(
            "the script and labctl install different packages",
            where=str(SCRIPT),
            found=" ".join(sorted(more)),
            expected="the same",
            hint="Bring the script up to what the roles install",
        )
    if ends["labctl"][1] != ends["script"][1]:
        raise Failed("the limits differ", found=str(ends), expected=f"{_WATTS} W on each card")


if __name__ == "__main__":
    sys.exit(main())
