"""Host facts: read from the real script's output, and refusals before anything is changed."""

import dataclasses
import subprocess
from collections.abc import Callable

import pytest

from labctl.errors import BadInput, Failed
from labctl.hoststate import facts
from labctl.hoststate.facts import refuse_powerless, refuse_unfit
from labctl.hoststate.role import select
from tests.roles.host_facts import host_facts


def test_the_script_answers_on_a_real_shell() -> None:
    done = subprocess.run(["sh", "-c", facts.SCRIPT], capture_output=True, text=True, check=True)
    here = facts.parse(done.stdout)
    assert here.os_id != "unknown"
    assert here.kernel
    assert here.memory_mib > 100
    assert here.free_mib is not None


def test_who_we_are_there_is_the_same_by_the_short_script() -> None:
    done = subprocess.run(["sh", "-c", facts.LOGIN_SCRIPT], capture_output=True, text=True, check=True)
    whole = subprocess.run(["sh", "-c", facts.SCRIPT], capture_output=True, text=True, check=True)
    login, here = facts.parse_login(done.stdout), facts.parse(whole.stdout)
    assert login.os_id != "unknown"
    assert all(getattr(here, each.name) == getattr(login, each.name) for each in dataclasses.fields(login))


@pytest.mark.parametrize("parse", [facts.parse, facts.parse_login])
def test_half_an_answer_is_an_error(parse: Callable[[str], object]) -> None:
    with pytest.raises(Failed, match="did not say what it is"):
        parse("uid 0\nsudo yes\n")


def test_what_follows_the_facts_is_the_drivers() -> None:
    said = "uid 0\nos debian 13\nmemory 64000\nend\n"
    assert facts.parse(said).driver_report == ""
    with_cards = facts.parse(said + "\n@@labctl os\nos ubuntu 24.04\n@@labctl end\n")
    assert with_cards.os_id == "debian"
    assert "@@labctl end" in with_cards.driver_report


def test_a_supported_host_with_room_is_fit() -> None:
    refuse_unfit("aibox", host_facts())


@pytest.mark.parametrize(
    ("changes", "message", "hint"),
    [
        ({"os_id": "fedora", "os_version": "44"}, "not supported", "install one of"),
        ({"os_version": "11"}, "expected .*Debian 13", "install one of"),
        ({"init": "bash"}, "does not run systemd", "system container"),
        ({"has_sudo": False}, "sudo is not installed", "adduser"),
        ({"free_mib": 100}, "disk is too full", "apt-get clean"),
    ],
)
def test_an_unfit_host_is_refused_with_the_way_out(
    changes: dict[str, object], message: str, hint: str
) -> None:
    with pytest.raises(Failed, match=message) as refused:
        refuse_unfit("aibox", dataclasses.replace(host_facts(), **changes))  # type: ignore[arg-type]  # a table of fields
    assert refused.value.where == "aibox"
    assert hint in str(refused.value.hint)


def test_roles_keep_their_order_whatever_the_order_asked_for() -> None:
    roles = ("base", "firewall", "podman")
    assert select(roles, ("podman", "base"), ()) == ("base", "podman")
    assert select(roles, (), ("firewall",)) == ("base", "podman")


@pytest.mark.parametrize(("only", "skip"), [(("bse",), ()), ((), ("podmam",))])
def test_a_role_nobody_knows_is_an_error_and_not_nothing(
    only: tuple[str, ...], skip: tuple[str, ...]
) -> None:
    with pytest.raises(BadInput) as refused:
        select(("base", "podman"), only, skip)
    assert refused.value.expected == "base, podman"


@pytest.mark.parametrize(
    ("groups", "message", "hint"),
    [
        ({"lab", "sudo"}, "wants a password", "_sudo_password"),
        ({"lab"}, "may not use sudo", "adduser lab sudo"),
    ],
)
def test_a_login_without_a_way_to_root_is_told_which_one_is_missing(
    groups: set[str], message: str, hint: str
) -> None:
    asked = dataclasses.replace(
        host_facts(), login="lab", groups=frozenset(groups), sudo_complaint="sudo: a password is required"
    )
    with pytest.raises(Failed, match=message) as refused:
        refuse_powerless("aibox", asked)
    assert hint in (refused.value.hint or "")


def test_a_login_that_sudo_asks_nothing_is_not_refused() -> None:
    refuse_powerless("aibox", host_facts(extra=("login lab", "groups lab", "sudo-says ")))
