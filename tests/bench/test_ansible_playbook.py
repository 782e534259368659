"""The playbook that labctl is measured against wants what labctl wants."""

from pathlib import Path

import pytest

from tests.bench.ansible_playbook import PLAYBOOK, Recap, parse_recap, write_inventory
from tests.bench.wanted_state import ROLES, wanted_state, write_files
from tests.roles.host_facts import host_facts

_WANTED = wanted_state(host_facts(container="systemd-nspawn"))
_WORDS = PLAYBOOK.read_text().replace("{path: ", "").replace(", mode", " ").split()


def test_the_roles_are_those_of_the_deploy() -> None:
    deploy = (PLAYBOOK.parents[3] / "deploy/gpu_host.py").read_text()
    imported = [line for line in deploy.splitlines() if line.startswith("from roles.")]
    assert sorted(f"from roles.{one.role.name}.deploy import {one.role.name}" for one in ROLES) == imported


@pytest.mark.parametrize(
    "name",
    sorted({*(file.path for file in _WANTED.files), *_WANTED.absent, *_WANTED.packages, *_WANTED.units}),
)
def test_the_playbook_names_every_file_package_and_unit_of_the_roles(name: str) -> None:
    assert name in _WORDS, f"{PLAYBOOK.name} is behind the roles"


def test_the_files_are_written_where_the_playbook_looks_for_them(tmp_path: Path) -> None:
    write_files(_WANTED, tmp_path)
    assert (tmp_path / "etc/labctl/firewall.nft").read_text().count("table inet labctl") > 0
    assert sum(path.is_file() for path in tmp_path.rglob("*")) == len(_WANTED.files) > 10


def test_a_recap_is_read_per_host() -> None:
    output = """\
TASK [Image pruning] *******
ok: [aibox]

PLAY RECAP *****************
aibox                      : ok=23   changed=1    unreachable=0    failed=0    skipped=0    rescued=0    ignored=0
other                      : ok=3    changed=0    unreachable=1    failed=1    skipped=0    rescued=0    ignored=0
"""
    assert parse_recap(output) == {"aibox": Recap(23, 1, 0), "other": Recap(3, 0, 2)}


def test_an_inventory_line_says_all_that_ssh_needs(tmp_path: Path) -> None:
    data = {
        "ssh_hostname": "10.0.0.1",
        "ssh_port": 22,
        "ssh_user": "lab",
        "ssh_key": "/k",
        "ssh_known_hosts_file": "/h",
        "_sudo": True,
    }
    inventory = write_inventory(tmp_path / "hosts.ini", {"aibox": data})
    assert inventory.read_text() == (
        "aibox ansible_host=10.0.0.1 ansible_port=22 ansible_user=lab ansible_ssh_private_key_file=/k "
        "ansible_ssh_common_args='-F /dev/null -o UserKnownHostsFile=/h'\n"
    )
