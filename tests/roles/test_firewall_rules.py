"""The ruleset as text, held against golden files; the host tests load it and send packets."""

from pathlib import Path

import pytest

from labctl.hoststate.observation import FileSeen, Observations
from labctl.hoststate.resource import Pending
from roles.firewall.deploy import firewall
from roles.firewall.ruleset import RULES, Ruleset
from roles.firewall.settings import FirewallSettings
from tests.roles.host_facts import host_facts

_CASES = Path(__file__).parents[1] / "cases" / "firewall"
_SETTINGS: dict[str, dict[str, object]] = {
    "default": {},
    "exposed": {
        "ssh_sources": ["192.168.1.0/24", "fd00::/8"],
        "ssh_ports": [22, 2222],
        "exposed": [
            {"port": 443, "from": ["192.168.1.0/24", "fd00::/8"]},
            {"port": 53, "protocol": "udp"},
        ],
    },
}


def _ruleset(name: str) -> Ruleset:
    settings = FirewallSettings.model_validate(_SETTINGS[name])
    return next(r for r in firewall.role.resources(settings, host_facts()) if isinstance(r, Ruleset))


@pytest.mark.parametrize("name", sorted(_SETTINGS))
def test_rules_as_agreed(name: str) -> None:
    assert _ruleset(name).rules == (_CASES / f"{name}.nft").read_text()


@pytest.mark.parametrize("name", sorted(_SETTINGS))
def test_no_other_table_is_touched(name: str) -> None:
    rules = _ruleset(name).rules
    assert "flush ruleset" not in rules
    tables = {
        line.split("{")[0].strip()
        for line in rules.splitlines()
        if line.startswith(("table ", "delete table "))
    }
    assert tables == {"table inet labctl", "delete table inet labctl"}


def _seen(*, file: str | None, loaded: str, listing: str) -> Observations:
    seen = None if file is None else FileSeen("regular file", "600", "root", "root", 1.0, file)
    return Observations(files={RULES: seen}, texts={"firewall": f"{loaded}\n{listing}\n"})


def test_rules_are_as_wanted_only_when_file_record_and_kernel_agree() -> None:
    rules = _ruleset("default")
    sha = rules._sha256
    cases = {
        "as wanted": (sha, f"{sha} L", "L", None),
        "edited file": ("x", f"{sha} L", "L", "content differs"),
        "rule deleted by hand": (sha, f"{sha} L", "M", "kernel"),
        "killed before confirming": (sha, "old L", "L", "never confirmed"),
        "other rules wanted": ("old", "old L", "L", "rules change"),
        "no record": (sha, "", "L", "not loaded"),
        "nothing there": (None, "", "E", "never loaded"),
    }
    for name, (file, loaded, listing, words) in cases.items():
        found = rules.compare(_seen(file=file, loaded=loaded, listing=listing), Pending())
        assert (found is None) == (words is None), name
        assert words is None or (found is not None and words in found.reason), name
