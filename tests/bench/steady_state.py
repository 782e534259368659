"""`make bench`: what it costs to find out that nothing has to change.

The state that deploy/gpu_host.py wants, checked on a converged throwaway host by labctl and, as a playbook, by
Ansible with Mitogen: whole processes, over SSH, taking turns. Nothing about a time is asserted; that both report no
change is.
"""

import os
import sys
from pathlib import Path

from labctl.errors import Failed
from labctl.hoststate import facts
from tests.bench import ansible_playbook
from tests.bench.ansible_playbook import Ansible, installed_ansible
from tests.bench.measurement import Ratio, take_turns
from tests.bench.on_hosts import on_hosts
from tests.bench.wanted_state import wanted_state, write_files
from tests.host.deploying import write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.labctl_command import HostOutcome, labctl
from tests.host.throwaway_host import ThrowawayHost

ROUNDS = 5
FLEET = 8
# Half of it each way.
ROUND_TRIP_MS = 50


def main() -> int:
    """Run the benchmark; returns the exit code."""
    return on_hosts(_measure)


def _measure(hosts: ThrowawayHosts, folder: Path) -> None:
    ansible = installed_ansible(hosts.session.cache, folder)
    host = hosts.boot("aibox1")
    print("Deploying to a throwaway host, to have nothing to change afterwards.")
    labctl("deploy", write_inventory(folder / "bare.py", host))
    write_files(wanted_state(facts.parse(host.run(facts.SCRIPT).stdout)), folder / "wanted")
    print(
        f"\nNothing to change: whole processes over SSH, medians of {ROUNDS} (fastest to slowest),\n"
        f"taking turns. Hosts and client share {os.cpu_count()} cores; their load before: {os.getloadavg()[0]:.1f}"
    )
    _against_ansible(ansible, host, folder, "no added delay", aim=0.5)
    with host.delayed(ROUND_TRIP_MS / 2) as near:
        there = {"ssh_hostname": "127.0.0.1", "ssh_port": near.port}
        _against_ansible(ansible, host, folder, f"{ROUND_TRIP_MS} ms round trip added", aim=0.33, **there)
    _eight_against_one(hosts, host, folder)
    _commands_per_operation(folder / "one.py")


def _against_ansible(
    ansible: Ansible, host: ThrowawayHost, folder: Path, title: str, *, aim: float, **connection: object
) -> None:
    ours = write_inventory(folder / "inventory.py", host, **connection)
    theirs = ansible_playbook.write_inventory(
        folder / "inventory.ini", {host.name: {**host.pyinfra_data(), **connection}}
    )
    taken = take_turns(
        {
            "labctl": lambda: _unchanged(ours),
            "ansible": lambda: _unchanged_by(ansible, theirs, folder / "wanted"),
        },
        rounds=ROUNDS,
    )
    print(f"\n  one host, {title}")
    print(f"    labctl deploy              {taken['labctl']}")
    print(f"    ansible-playbook, Mitogen  {taken['ansible']}")
    print(f"    {f'ratio, aim {aim} or less':<25}  {Ratio(taken['labctl'], taken['ansible'])}")


def _commands_per_operation(inventory: Path) -> None:
    (outcome,) = _unchanged(inventory).values()
    ratio = outcome.remote_commands / outcome.operations
    print(
        f"\n  remote commands per operation, aim 1 or less:  {ratio:.2f}  "
        f"({outcome.remote_commands} for {outcome.operations})"
    )


def _eight_against_one(hosts: ThrowawayHosts, first: ThrowawayHost, folder: Path) -> None:
    first.power_off()
    layer = first.save_layer("converged")
    first.power_on()
    fleet = [first, *(hosts.boot(f"aibox{number}", layer=layer) for number in range(2, FLEET + 1))]
    one, all_of_them = (
        write_inventory(folder / "one.py", first),
        write_inventory(folder / "fleet.py", *fleet),
    )
    taken = take_turns(
        {"all": lambda: _unchanged(all_of_them), "one": lambda: _unchanged(one)}, rounds=ROUNDS
    )
    print(f"\n  {FLEET} hosts against one, no added delay")
    print(f"    labctl deploy, one host    {taken['one']}")
    print(f"    labctl deploy, {FLEET} hosts     {taken['all']}")
    print(f"    ratio, aim 2 or less       {Ratio(taken['all'], taken['one'])}")


def _unchanged(inventory: Path) -> dict[str, HostOutcome]:
    """Deploy, and see that it changed nothing."""
    outcomes = labctl("deploy", inventory)
    changed = {name: outcome.changed for name, outcome in outcomes.items() if outcome.changed}
    if changed:
        raise Failed("labctl changed a converged host", found=str(changed), expected="no change")
    return outcomes


def _unchanged_by(ansible: Ansible, inventory: Path, wanted: Path) -> None:
    """Play, and see that it changed nothing."""
    recaps = ansible.play(inventory, wanted)
    if not recaps or any(recap.changed or recap.failed for recap in recaps.values()):
        raise Failed(
            "Ansible wants another state than labctl",
            where=str(ansible_playbook.PLAYBOOK),
            found=str(recaps),
            expected="no change",
            hint="Bring the playbook up to what the roles want",
        )


if __name__ == "__main__":
    sys.exit(main())
