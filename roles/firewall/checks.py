"""Does the firewall let in what the inventory says, and nothing else? Tried with packets, in spare namespaces."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from roles.firewall import trial
from roles.firewall.deploy import UNIT
from roles.firewall.ruleset import RULES
from roles.firewall.settings import FirewallSettings

_TABLE = "nft -s list table inet labctl"
_PROGRAM = Path(__file__).with_name("trial_on_host.py")


@pytest.fixture(autouse=True)
def managed(settings: FirewallSettings) -> None:
    """A firewall that the inventory leaves alone is nobody's to judge."""
    if not settings.manage:
        not_run_here("firewall.manage is False")


@explained(
    Explanation(
        "The firewall's rules were taken out of the kernel, and nothing is filtered.",
        "`labctl deploy --only firewall` loads them.",
        says="nothing is filtered",
    ),
    Explanation(
        "The rules in the kernel, or their file, were changed since the last deploy.",
        "`labctl check --only firewall` shows it, `labctl deploy --only firewall` puts them right.",
    ),
)
def test_loaded(host: Host) -> None:
    """the rules loaded are those of the file"""
    loaded = host.run(_TABLE)
    assert loaded.rc == 0, "the table inet labctl is not loaded: nothing is filtered"
    fresh = output_of(host, f"unshare --net sh -c 'nft -f {RULES} && {_TABLE}'")
    differing = trial.first_difference(fresh, loaded.stdout.strip())
    assert differing is None, f"the kernel's rules differ from {RULES}: {differing}"


@explained(
    Explanation(
        "The unit that loads the rules at boot was switched off or changed: after a reboot nothing is "
        "filtered.",
        "`labctl deploy --only firewall` switches it on.",
    ),
)
def test_boot_unit(host: Host) -> None:
    """the rules are loaded at every boot"""
    enabled = host.run("systemctl is-enabled %s", UNIT).stdout.strip() or "not there"
    active = host.run("systemctl is-active %s", UNIT).stdout.strip()
    assert (enabled, active) == ("enabled", "active"), (
        f"{UNIT} is {enabled} and {active}, not enabled and active"
    )
    program = output_of(host, "systemctl show -p ExecStart --value %s", UNIT)
    assert f"-f {RULES} " in program, f"{UNIT} runs {program}, which does not load {RULES}"


@explained(
    Explanation(
        "The last change of the rules was never confirmed, as when a deploy is cut off, and the host is "
        "about to take it back.",
        "Wait until it has, then `labctl deploy --only firewall`.",
    ),
)
def test_no_undo_pending(host: Host) -> None:
    """no change of the rules waits to be undone"""
    timer = host.run("systemctl is-active labctl-firewall-undo.timer").stdout.strip()
    assert timer != "active", "the last change was not confirmed: the host is about to undo it"


@explained(
    Explanation(
        "Two firewalls run on the host, and what one lets through the other may stop.",
        "`sudo systemctl disable --now` the one named here; to keep it, set firewall = {'manage': False} "
        "in the inventory.",
    ),
)
def test_no_second_firewall(host: Host) -> None:
    """no other firewall undoes these rules"""
    for rival in ("ufw", "firewalld"):
        state = host.run("systemctl is-active %s", rival).stdout.strip()
        # Ubuntu's unit for ufw is always active; its configuration says whether it filters anything.
        on = rival != "ufw" or host.run("grep -qsi ^ENABLED=yes /etc/ufw/ufw.conf").rc == 0
        assert state != "active" or not on, (
            f"{rival} is running beside table inet labctl: disable one of them"
        )


@explained(
    Explanation(
        "The file of the rules empties all tables when it is loaded, those of Podman's networks too.",
        "`labctl deploy --only firewall` writes it anew.",
    ),
)
def test_other_tables_survive(host: Host) -> None:
    """loading them again leaves other tables alone"""
    load = f"nft add table inet foreign; nft -f {RULES} && nft -f {RULES} && nft list tables"
    tables = output_of(host, f"unshare --net sh -c '{load}'").splitlines()
    assert sorted(tables) == ["table inet foreign", "table inet labctl"], (
        f"what was left is {', '.join(tables)}"
    )


@pytest.fixture(scope="module")
def listening(host: Host) -> tuple[tuple[str, int], ...]:
    """Every port something listens on, on whatever address: what the rules must not let through by mistake."""
    found = re.findall(r"^(tcp|udp)\s.*?:(\d+)\s+\S+:\*", output_of(host, "ss -H -lntu"), re.MULTILINE)
    return tuple(sorted({(protocol, int(port)) for protocol, port in found}))


@explained(
    Explanation(
        "Something can be reached from outside that the inventory does not open.",
        "`labctl deploy --only firewall` closes it; if it is meant to be open, say so in the inventory's "
        "firewall.",
        says="should not",
    ),
    Explanation(
        "The firewall stops what the inventory opens.",
        "`labctl deploy --only firewall` opens it.",
    ),
)
def test_reachable(
    host: Host, settings: FirewallSettings, facts: HostFacts, listening: tuple[tuple[str, int], ...]
) -> None:
    """from outside: SSH and what is exposed, nothing else"""
    wanted = trial.openings(settings, facts.ssh_ports)
    _compare(host, facts, wanted, listening, published=False)


@explained(
    Explanation(
        "A container's port can be reached from outside, and the inventory does not expose it.",
        "`labctl deploy --only firewall` closes it; if it is meant to be open, say so in the inventory's "
        "firewall.",
        says="should not",
    ),
    Explanation(
        "The firewall stops a container's port that the inventory exposes.",
        "`labctl deploy --only firewall` opens it.",
    ),
)
def test_published(
    host: Host, settings: FirewallSettings, facts: HostFacts, listening: tuple[tuple[str, int], ...]
) -> None:
    """from outside: no container's port but the exposed"""
    wanted = trial.exposures(settings)
    _compare(host, facts, wanted, listening, published=True)


def _compare(
    host: Host,
    facts: HostFacts,
    wanted: tuple[trial.Opening, ...],
    listening: tuple[tuple[str, int], ...],
    *,
    published: bool,
) -> None:
    tries = trial.tries(wanted, listening)
    argument = json.dumps({"rules": RULES, "tries": tries, "published": published})
    program = shlex.quote(_PROGRAM.read_text(encoding="utf-8"))
    done = host.run(
        f'TRIAL={program}; export TRIAL; unshare --net python3 -c "$TRIAL" try {shlex.quote(argument)}'
    )
    if done.rc != 0 and facts.container and "unshare" in done.stderr:
        not_run_here(f"{facts.container}: no right to make a network namespace")
    assert done.rc == 0, f"the trial failed: {(done.stderr.strip() or 'no output').splitlines()[-1]}"
    mistakes = list(_mistakes(wanted, tries, {(s, p, n) for s, p, n in json.loads(done.stdout)}))
    assert not mistakes, "; ".join(mistakes[:5])


def _mistakes(
    wanted: tuple[trial.Opening, ...], tries: list[trial.Try], through: set[trial.Try]
) -> Iterator[str]:
    for each in tries:
        source, protocol, port = each
        should = any(opening.admits(*each) for opening in wanted)
        if should and each not in through:
            yield f"{port}/{protocol} from {source} does not get through"
        elif not should and each in through:
            yield f"{port}/{protocol} from {source} gets through and should not"
