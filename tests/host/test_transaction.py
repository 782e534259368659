"""A transaction on a real host: real Quadlet units, real containers, a real kill and a real power cut."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from labctl.edges.transaction_program import unit_of
from tests.host.converged import IMAGE, converged_layer
from tests.host.hosts import ThrowawayHosts
from tests.host.transaction_lab import DATA, ENDS, IDLE, NEVER_HEALTHY, THREE, WEB, TransactionLab

pytestmark = pytest.mark.host

_BIG = "/srv/big.tar"


@pytest.fixture(scope="module")
def host_with_services(throwaway_hosts: ThrowawayHosts) -> Iterator[TransactionLab]:
    host = throwaway_hosts.boot("services", layer=converged_layer(throwaway_hosts))
    yield TransactionLab(host)
    throwaway_hosts.destroy(host)


@pytest.fixture
def lab(host_with_services: TransactionLab) -> TransactionLab:
    """THREE run, whatever the test before did."""
    followed = host_with_services.apply(THREE)
    assert followed.exit_code == 0, (followed.document, host_with_services.lines)
    assert host_with_services.running() == THREE
    return host_with_services


def test_services_are_put_in_place_for_root_alone(lab: TransactionLab) -> None:
    assert lab.is_whole(THREE) == THREE
    loose = "find /var/lib/labctl/stages /var/lib/labctl/generations /run/labctl -perm /077 -not -type l"
    assert lab.host.console_run(f"{loose} -not -path /run/labctl").stdout == ""
    modes = lab.host.console_run("stat -c %a /etc/containers/systemd/labctl/*").stdout.split()
    assert set(modes) == {"600"}
    assert lab.host.console_run("systemctl is-active labctl.target").stdout == "active\n"
    assert lab.host.console_run("systemctl is-enabled labctl-transaction-recover").stdout == "enabled\n"
    assert lab.host.console_run("systemctl list-units --failed --no-legend --plain 'labctl*'").stdout == ""


def test_the_same_again_touches_no_unit(lab: TransactionLab) -> None:
    before = lab.started()
    followed = lab.apply(THREE)
    assert (followed.outcome, followed.exit_code, lab.started()) == ("unchanged", 0, before)


def test_one_change_restarts_one_and_a_rollback_brings_it_back(lab: TransactionLab) -> None:
    before = lab.started()
    followed = lab.apply({**THREE, WEB: "2"})
    assert (followed.outcome, followed.document["changed"]) == ("done", ["web.service"])
    after = lab.started()
    assert {name for name in before if before[name] != after[name]} == {WEB}
    assert lab.running() == {**THREE, WEB: "2"}
    assert lab.go("previous").outcome == "done"
    assert lab.is_whole(THREE) == THREE
    assert {name: at for name, at in lab.started().items() if name != WEB} == {
        name: at for name, at in before.items() if name != WEB
    }


def test_one_goes_and_another_comes(lab: TransactionLab) -> None:
    swapped = {WEB: "1", DATA: "1", "other": "1"}
    lab.host.console_run(f"mkdir -p /srv/other; echo kept >/srv/{IDLE}/file")
    followed = lab.apply(swapped)
    assert (followed.document["added"], followed.document["removed"]) == (["other.service"], ["idle.service"])
    assert lab.is_whole(swapped) == swapped
    assert lab.host.console_run(f"cat /srv/{IDLE}/file").stdout == "kept\n"


@pytest.mark.parametrize(
    ("version", "reason"), [(NEVER_HEALTHY, "not healthy within 8 s"), (ENDS, "started again")]
)
def test_one_that_does_not_come_up_leaves_the_old_one(lab: TransactionLab, version: str, reason: str) -> None:
    before = lab.started()
    # The client that began it goes away; another one comes and asks.
    instance, _ = lab.begin({**THREE, WEB: version}, start_seconds=8 if version == NEVER_HEALTHY else 60)
    followed = lab.follow(instance)
    assert (followed.outcome, followed.exit_code) == ("rolled back", 1)
    error = followed.document["error"]
    assert error["where"] == WEB
    assert reason in error["message"]
    assert followed.document["log"]
    assert lab.is_whole(THREE) == THREE
    after = lab.started()
    assert {name for name in before if before[name] != after[name]} == {WEB}


def test_what_cannot_be_pulled_or_parsed_touches_nothing(lab: TransactionLab) -> None:
    before = lab.started()
    missing = lab.apply({**THREE, WEB: "2"}, images=("dir:/srv/there-is-none",))
    assert (missing.outcome, missing.exit_code) == ("refused", 1)
    assert "cannot be pulled" in missing.document["error"]["message"]
    # An image of 8 MB, and 4 MB for what Podman unpacks.
    lab.host.console_run(
        f"[ -e {_BIG} ] || {{ cd /tmp; head -c 8000000 /dev/urandom >big; tar -cf big.layer big; "
        f"podman import -q big.layer localhost/big:1; podman save -q --format oci-archive -o {_BIG} localhost/big:1; "
        "podman rmi -f localhost/big:1; }; mount -t tmpfs -o size=4M small /var/tmp"
    )
    try:
        full = lab.apply({**THREE, WEB: "2"}, images=(f"oci-archive:{_BIG}",))
    finally:
        lab.host.console_run("umount /var/tmp")
    assert (full.outcome, full.exit_code) == ("refused", 1)
    assert "no space left" in full.document["error"]["found"], full.document
    assert (lab.started(), lab.is_whole(THREE)) == (before, THREE)
    wrong = lab.apply({**THREE, WEB: "2\nFoo=bar"})
    assert (wrong.outcome, wrong.exit_code) == ("refused", 2)
    assert "unsupported key 'Foo'" in wrong.document["error"]["found"]
    assert (lab.started(), lab.is_whole(THREE)) == (before, THREE)
    assert lab.host.console_run(f"podman images -q {IMAGE} | wc -l").stdout == "1\n"


def test_a_unit_edited_by_hand_is_named_kept_and_put_right(lab: TransactionLab) -> None:
    before = lab.started()
    lab.host.console_run("echo '# by hand' >>/etc/containers/systemd/labctl/web.container")
    followed = lab.apply(THREE)
    assert (followed.outcome, followed.document["edited"]) == ("done", ["units/web.container"])
    kept = lab.host.console_run(f"tail -n 1 {followed.document['kept']}/units/web.container").stdout
    assert kept == "# by hand\n"
    assert lab.is_whole(THREE) == THREE
    after = lab.started()
    assert {name for name in before if before[name] != after[name]} == {WEB}


def test_of_two_at_once_one_refuses(lab: TransactionLab) -> None:
    first, _ = lab.begin({**THREE, WEB: NEVER_HEALTHY}, start_seconds=8)
    lab.wait_for_line(first, "start:")
    second = lab.apply({**THREE, DATA: "2"})
    assert (second.outcome, second.exit_code) == ("refused", 1)
    assert first in second.document["error"]["found"]
    assert lab.follow(first).outcome == "rolled back"
    assert lab.is_whole(THREE) == THREE


@pytest.mark.parametrize("words", ["check:", "start:"])
def test_killed_it_is_undone_by_the_host(lab: TransactionLab, words: str) -> None:
    _kill(lab, words, "main")


@pytest.mark.nightly
@pytest.mark.parametrize("words", ["stop:", "install:", "healthy:", "done:"])
def test_killed_at_more_points(lab: TransactionLab, words: str) -> None:
    _kill(lab, words, "all")


@pytest.mark.parametrize("words", ["stop:", "start:"])
def test_without_power_it_is_undone_at_boot(lab: TransactionLab, words: str) -> None:
    _cut(lab, words)


@pytest.mark.nightly
@pytest.mark.parametrize("words", ["check:", "install:", "healthy:", "done:", "undo:"])
def test_without_power_at_more_points(lab: TransactionLab, words: str) -> None:
    _cut(lab, words)


def _kill(lab: TransactionLab, words: str, whom: str) -> None:
    new = {
        **THREE,
        WEB: f"killed-{words[:-1]}",
        DATA: "2",
    }  # a stage of its own: the journal is searched by its name
    instance, since = lab.begin(new)
    lab.wait_for_line(instance, words)
    lab.host.console_run(
        f"systemctl kill --kill-whom={whom} --signal=KILL '{unit_of(instance)}'", check=False
    )
    followed = lab.follow(instance, since)
    on = lab.is_whole(THREE, new)
    assert followed.outcome in (("done",) if on == new else ("rolled back", "refused"))
    assert followed.exit_code == (0 if on == new else 1)
    assert lab.apply(new).exit_code == 0
    assert lab.is_whole(new) == new


def _cut(lab: TransactionLab, words: str) -> None:
    broken = words == "undo:"
    new = {**THREE, WEB: NEVER_HEALTHY if broken else f"cut-{words[:-1]}", DATA: "2"}
    instance, _ = lab.begin(new, start_seconds=8 if broken else 60)
    lab.wait_for_line(instance, words)
    lab.host.power_cut()
    lab.host.power_on()
    on = lab.is_whole(THREE, new)
    if words != "check:":
        followed = lab.follow(instance)
        assert followed.outcome == ("done" if on == new else "rolled back")
        assert followed.exit_code == (0 if on == new else 1)
