"""Ansible with Mitogen, in a virtual environment of its own, and one run of the playbook."""

import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from labctl.errors import Failed
from tests.bench.pinned_environment import pinned_environment
from tests.host.cache import Cache

FOLDER = Path(__file__).resolve().parent / "ansible"
PLAYBOOK = FOLDER / "playbook.yml"
_REQUIREMENTS = FOLDER / "requirements.txt"
_STRATEGIES = "lib/python*/site-packages/ansible_mitogen/plugins/strategy"
_RECAP = re.compile(r"^(?P<host>\S+)\s+: (?P<counts>ok=\d+ .*)$", re.MULTILINE)
_TIMEOUT_S = 300


@dataclass(frozen=True)
class Recap:
    """The counts of one host in Ansible's PLAY RECAP."""

    ok: int
    changed: int
    failed: int


@dataclass(frozen=True)
class Ansible:
    """environment: the virtual environment. folder: for what Ansible writes on this machine."""

    environment: Path
    folder: Path

    def play(self, inventory: Path, wanted: Path) -> dict[str, Recap]:
        """Run the playbook with the files below `wanted`; host name → recap. Raises `Failed` when it fails."""
        completed = subprocess.run(
            [str(self.environment / "bin/ansible-playbook"), "-i", str(inventory), str(PLAYBOOK)]
            + ["--extra-vars", f"wanted={wanted}"],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
            env=self._variables(),
            timeout=_TIMEOUT_S,
        )
        if completed.returncode != 0:
            raise Failed(f"{completed.stdout}{completed.stderr}"[-2000:], where="ansible-playbook")
        return parse_recap(completed.stdout)

    def _variables(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("ANSIBLE_")}
        (strategies,) = self.environment.glob(_STRATEGIES)
        return {
            **inherited,
            "ANSIBLE_CONFIG": str(FOLDER / "ansible.cfg"),
            "ANSIBLE_STRATEGY_PLUGINS": str(strategies),
            "ANSIBLE_HOME": str(self.folder),
            "ANSIBLE_NOCOLOR": "1",
            "LC_ALL": "C.UTF-8",
        }


def installed_ansible(cache: Cache, folder: Path) -> Ansible:
    """Ansible as pinned, installed into the cache when it is not there yet. Raises `Failed` when it cannot be had."""
    environment = pinned_environment(_REQUIREMENTS, cache.root / "ansible", "Ansible and Mitogen")
    return Ansible(environment, folder)


def write_inventory(path: Path, hosts: Mapping[str, Mapping[str, object]]) -> Path:
    """An Ansible inventory of `hosts`: name → pyinfra's host data."""
    path.write_text("".join(f"{name} {_variables(data)}\n" for name, data in hosts.items()))
    return path


def parse_recap(output: str) -> dict[str, Recap]:
    """The PLAY RECAP at the end of what ansible-playbook printed; host name → counts."""
    recaps = {}
    for line in _RECAP.finditer(output):
        counts = {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", line["counts"])}
        recaps[line["host"]] = Recap(
            counts["ok"], counts["changed"], counts["failed"] + counts["unreachable"]
        )
    return recaps


def _variables(data: Mapping[str, object]) -> str:
    options = ("-F /dev/null", f"-o UserKnownHostsFile={data['ssh_known_hosts_file']}")
    variables = {
        "ansible_host": data["ssh_hostname"],
        "ansible_port": data["ssh_port"],
        "ansible_user": data["ssh_user"],
        "ansible_ssh_private_key_file": data["ssh_key"],
        "ansible_ssh_common_args": " ".join(options),
    }
    return " ".join(
        f"{key}={value!r}" if " " in str(value) else f"{key}={value}" for key, value in variables.items()
    )
