"""`make bench`: what it costs to find out that twelve services run as planned.

`labctl apply` of a plan that is in force, and `podman-compose up -d` of the same containers on a twin of that host:
whole processes, over SSH, taking turns. Nothing about a time is asserted; that both leave every container alone is
checked, and that they run the same.
"""

import os
import sys
from dataclasses import replace
from pathlib import Path

from labctl.errors import Failed
from tests.bench.compose import compose_file
from tests.bench.measurement import Ratio, take_turns
from tests.bench.on_hosts import on_hosts
from tests.host.apply_lab import ApplyLab, boot_lab, serves
from tests.host.commands import run
from tests.host.deploying import labctl, write_inventory
from tests.host.hosts import ThrowawayHosts

ROUNDS = 5
AIM = 0.5
# Half of it each way.
ROUND_TRIP_MS = 50
TWELVE = {f"service-{n}": replace(serves(port=20000 + n), ram_mib=64) for n in range(1, 13)}
# What pip installs is compiled, and the first round, which is not counted, compiles a checkout.
_INSTALLED = {"PYTHONDONTWRITEBYTECODE": ""}
_FOLDER = "/srv/twelve"
_UP = f"cd {_FOLDER} && sudo -n podman-compose up -d"
_UNITS = "etc/containers/systemd/labctl"
_INSTALL = "apt-get -qq -o DPkg::Lock::Timeout=60 install --no-install-recommends podman-compose >/dev/null"
_WHAT_RUNS = "podman ps --format '{{.Names}} {{.Image}} {{.Command}} {{.Ports}} {{.Networks}}' | sort"
_SINCE = "podman ps --no-trunc --format '{{.ID}} {{.StartedAt}}' | sort"


def main() -> int:
    """Run the benchmark; returns the exit code."""
    return on_hosts(_measure)


def _measure(hosts: ThrowawayHosts, folder: Path) -> None:
    print(f"{len(TWELVE)} services on a throwaway host, and the same on its twin, by podman-compose.")
    ours, theirs = _booted(hosts, folder, "aibox"), _booted(hosts, folder, "twin")
    applied = ours.apply(TWELVE)
    if applied.exit_code != 0:
        raise Failed(f"{applied.stdout}{applied.stderr}"[-2000:], where="labctl apply")
    version = _compose(ours, theirs)
    same = [lab.root(_WHAT_RUNS) for lab in (ours, theirs)]
    if same[0] != same[1]:
        raise Failed("they run something else", found=same[1], expected=same[0])
    before = [lab.root(_SINCE) for lab in (ours, theirs)]
    print(
        f"\nNothing to change: whole processes over SSH, medians of {ROUNDS} (fastest to slowest),\n"
        f"taking turns. Hosts and client share {os.cpu_count()} cores; their load before: {os.getloadavg()[0]:.1f}"
    )
    _take_turns("no added delay", version, (ours.plan, ours.inventory), theirs.host.ssh.argv(_UP))
    with ours.host.delayed(ROUND_TRIP_MS / 2) as near, theirs.host.delayed(ROUND_TRIP_MS / 2) as far:
        inventory = write_inventory(
            folder / "far.py", ours.host, ssh_hostname="127.0.0.1", ssh_port=near.port
        )
        up = theirs.host.ssh.argv(_UP, port=far.port, address="127.0.0.1")
        _take_turns(f"{ROUND_TRIP_MS} ms round trip added", version, (ours.plan, inventory), up)
    if before != [lab.root(_SINCE) for lab in (ours, theirs)]:
        raise Failed("a container was started anew", expected="no change")


def _booted(hosts: ThrowawayHosts, folder: Path, name: str) -> ApplyLab:
    (folder / name).mkdir()
    return boot_lab(hosts, folder / name, name)


def _compose(ours: ApplyLab, theirs: ApplyLab) -> str:
    """Have podman-compose run on the twin what labctl runs; returns its version."""
    units = ours.host.machine.session.path(ours.host.machine.disk.root) / _UNITS
    text = compose_file({file.name: file.read_text() for file in units.iterdir()})
    theirs.root(_INSTALL)
    theirs.root(f"mkdir -p {_FOLDER} && cat >{_FOLDER}/compose.yaml <<'EOF'\n{text}EOF")
    run(theirs.host.ssh.argv(_UP), timeout_s=300)
    return theirs.root("dpkg-query -W -f '${Version}' podman-compose")


def _take_turns(title: str, version: str, ours: tuple[Path, Path], theirs: list[str]) -> None:
    taken = take_turns({"labctl": lambda: _unchanged(*ours), "compose": lambda: run(theirs)}, rounds=ROUNDS)
    print(f"\n  {title}")
    print(f"    labctl apply               {taken['labctl']}")
    print(f"    podman-compose {version:<11} {taken['compose']}")
    print(f"    {f'ratio, aim {AIM} or less':<25}  {Ratio(taken['labctl'], taken['compose'])}")


def _unchanged(plan: Path, inventory: Path) -> None:
    """Apply, and see that it changed nothing."""
    done = labctl("apply", plan, "--inventory", inventory, "--yes", "--json", env=_INSTALLED)
    said = [host["status"] for host in done.document["hosts"].values()]
    if done.exit_code != 0 or said != ["unchanged"]:
        raise Failed(f"{done.stdout}{done.stderr}"[-2000:], where="labctl apply", expected="no change")


if __name__ == "__main__":
    sys.exit(main())
