"""`labctl apply` and `labctl rollback` on a host: real units and containers of Podman's, on simulated cards."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.host import canaries, slow_registry
from tests.host.apply_lab import ApplyLab, boot_lab, ends, serves
from tests.host.hosts import ThrowawayHosts
from tests.host.simulated_driver import write
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

UI = replace(serves(port=20010), secrets=("env.API_KEY",))
HOME = {"chat": serves(card=0), "images": serves(card=1), "ui": UI}
_ASK = (
    "python3 -c 'import urllib.request as u; print(u.urlopen(\"http://127.0.0.1:20010/\", timeout=9).status)'"
)
_WISHES = (
    "workloads:\n  ui: {{service: container, image: 'localhost/x:1', vram_mib: 0, env: {{API_KEY: {}}}}}\n"
)
_SQUATTER = "systemd-run --quiet --unit=squatter /usr/bin/python3 -m http.server --bind 127.0.0.1 20020"

_SMALL_DISK = "mount -t tmpfs -o size=4M small /var/tmp"
_OLD_PODMAN = """#!/bin/sh
# SIMULATED: Debian 12's, in what it says of itself.
[ "$1" != --version ] || { echo podman version 4.3.1; exit; }
exec /usr/bin/podman "$@"
"""


@pytest.fixture(scope="module")
def canary() -> str:
    return canaries.canary()


@pytest.fixture(scope="module")
def host_with_home(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory, canary: str
) -> Iterator[ApplyLab]:
    """From nothing to HOME; its secret is in the workloads file alone."""
    lab = boot_lab(throwaway_hosts, tmp_path_factory.mktemp("apply"))
    wishes = lab.folder / "home.yaml"
    wishes.write_text(_WISHES.format(canary))
    unsaid = lab.apply(HOME)
    assert unsaid.exit_code == 2, unsaid.stdout
    assert lab.started() == {}
    with canaries.recorded(lab.host):
        run = lab.apply(HOME, "--workloads", wishes)
        recording = canaries.Recording(lab.host, [canary])
    assert run.exit_code == 0, run.stdout + run.stderr
    assert recording.started == []
    # It came by standard input, and whoever took it to Podman's store was watched.
    assert any("/storage/secrets/" in each for each in recording.written_to)
    assert canary not in run.stdout + run.stderr + lab.plan.read_text()
    yield lab
    throwaway_hosts.destroy(lab.host)


@pytest.fixture
def lab(host_with_home: ApplyLab) -> ApplyLab:
    """HOME runs, whatever the test before did."""
    host_with_home.plug_in()
    run = host_with_home.apply(HOME)
    assert run.exit_code == 0, run.stdout + run.stderr
    return host_with_home


def test_everything_runs_with_its_card_and_its_secret_that_nobody_else_sees(
    lab: ApplyLab, canary: str
) -> None:
    assert lab.versions() == {"chat": "1", "images": "1", "ui": "1"}
    assert lab.variable("images", "SIMULATED_CARD") == "1"
    assert lab.variable("ui", "API_KEY") == canary
    assert lab.root(_ASK) == "200"
    found = canaries.files_with(lab.host, [canary])
    # Podman's store; and what a container was started with lies there for root alone, as long as it runs.
    assert {each for each in found if "/storage/secrets/" not in each} <= {
        each for each in found if each.endswith("/userdata/config.json") or each.startswith("/run/crun/")
    }
    assert canaries.journal_lines_with(lab.host, [canary]) == []
    assert canaries.arguments_with([canary]) == []


def test_the_same_again_touches_nothing_by_either_way(lab: ApplyLab) -> None:
    before, stages = lab.started(), lab.root("ls -l --time-style=full-iso /var/lib/labctl/stages")
    run = lab.apply(HOME)
    assert (run.exit_code, run.host("aibox")["status"]) == (0, "unchanged")
    deployed = lab.deploy(HOME)
    assert deployed.exit_code == 0, deployed.stdout + deployed.stderr
    assert "No changes" in deployed.stdout + deployed.stderr
    assert (lab.started(), lab.root("ls -l --time-style=full-iso /var/lib/labctl/stages")) == (before, stages)


def test_pyinfra_does_the_same_and_refuses_before_it_begins(lab: ApplyLab) -> None:
    before = lab.started()
    deployed = lab.deploy({**HOME, "chat": serves("2", card=0)})
    assert deployed.exit_code == 0, deployed.stdout + deployed.stderr
    assert lab.versions() == {"chat": "2", "images": "1", "ui": "1"}
    after = lab.started()
    assert {name for name in after if after[name] != before.get(name)} == {"chat"}
    bad = lab.deploy({**HOME, "new": serves(port=20010)})
    assert bad.exit_code != 0
    lab.plug_in(only=(0,))
    gone = lab.deploy({**HOME, "new": serves()})
    assert gone.exit_code != 0
    assert f"labctl place --without {uuid_of(1)}" in gone.stdout + gone.stderr
    assert lab.started() == after


def test_an_edit_by_hand_is_put_right_and_a_rollback_brings_back_what_ran(lab: ApplyLab) -> None:
    before = lab.started()
    number = json.loads(lab.root("/usr/local/lib/labctl/transaction status"))["current"]
    lab.root("echo '# by hand' >>/etc/containers/systemd/labctl/labctl-images.container")
    run = lab.apply({**HOME, "ui": replace(UI, env={"VERSION": "2"})})
    assert run.exit_code == 0, run.stdout
    told = run.host("aibox")
    assert told["edited"] == ["units/labctl-images.container"]
    assert {each["workload"]: each["why"] for each in told["changes"]} == {
        "images": ["edited by hand"],
        "ui": ["environment VERSION"],
    }
    after = lab.started()
    assert {name for name in after if after[name] != before[name]} == {"images", "ui"}
    assert lab.variable("ui", "VERSION") == "2"
    back = lab.rollback()
    assert (back.exit_code, back.host("aibox")["generation"]["after"]) == (0, number)
    assert lab.variable("ui", "VERSION") is None
    listed = lab.rollback("--list").host("aibox")
    assert listed["current"] == number


def test_two_swap_full_cards_and_meanwhile_another_apply_refuses(lab: ApplyLab) -> None:
    before = lab.started()
    # Their memory comes back some time after they stopped.
    lab.plug_in(held={0: lab.pid("chat"), 1: lab.pid("images")})
    swapped = {**HOME, "chat": serves(card=1), "images": serves(card=0)}
    first = lab.begin(swapped)
    try:
        lab.wait_for(f"wait: {uuid_of(0)} has")
        assert set(lab.versions()) == {"ui"}
        lab.break_connections()
        second = lab.apply({**HOME, "other": serves()})
        assert second.exit_code == 1
        (refusal,) = second.host("aibox")["refusals"]
        assert "another transaction runs" in refusal["message"]
        lab.plug_in()
        out, err = first.communicate(timeout=120)
    finally:
        first.kill()
    assert first.returncode == 0, out + err
    assert "the connection broke; the host goes on" in err
    assert json.loads(out)["hosts"]["aibox"]["status"] == "done"
    assert lab.variable("chat", "SIMULATED_CARD") == "1"
    assert lab.variable("images", "SIMULATED_CARD") == "0"
    after = lab.started()
    assert {name for name in after if after[name] != before[name]} == {"chat", "images"}


def test_one_that_never_comes_up_ends_on_the_old_one(lab: ApplyLab) -> None:
    before = lab.started()
    lab.impatient("chat")
    run = lab.apply({**HOME, "chat": replace(ends(), cards=HOME["chat"].cards)})
    assert (run.exit_code, run.host("aibox")["status"]) == (1, "rolled back"), run.stdout
    result = run.host("aibox")["result"]
    assert result["error"]["where"] == "chat"
    assert any("this one cannot work" in line for line in result["log"])
    assert lab.versions() == {"chat": "1", "images": "1", "ui": "1"}
    after = lab.started()
    assert {name for name in after if after[name] != before[name]} == {"chat"}


def test_a_rollback_brings_back_what_left_with_its_network_and_a_secret_as_it_was(
    lab: ApplyLab, canary: str
) -> None:
    before = lab.started()
    wishes = lab.folder / "another.yaml"
    wishes.write_text(_WISHES.format(f"{canary}-2"))
    fewer = lab.apply({name: HOME[name] for name in ("chat", "ui")}, "--workloads", wishes)
    assert fewer.exit_code == 0, fewer.stdout
    assert lab.versions() == {"chat": "1", "ui": "1"}
    assert lab.root("podman network exists labctl-images || echo gone") == "gone"
    assert lab.variable("ui", "API_KEY") == f"{canary}-2"
    back = lab.rollback()
    assert back.exit_code == 0, back.stdout
    assert lab.versions() == {"chat": "1", "images": "1", "ui": "1"}
    assert lab.variable("ui", "API_KEY") == canary
    after = lab.started()
    assert {name for name in after if after[name] != before[name]} <= {"images", "images-network", "ui"}


def test_what_stands_in_the_way_is_named_and_nothing_is_touched(lab: ApplyLab) -> None:
    before = lab.started()
    lab.root(_SQUATTER)
    try:
        taken = lab.apply({**HOME, "new": serves(port=20020)})
    finally:
        lab.root("systemctl stop squatter")
    assert taken.exit_code == 3, taken.stdout
    (refusal,) = taken.host("aibox")["refusals"]
    assert (refusal["where"], refusal["found"]) == ("new", "python3 of squatter.service")
    lab.plug_in(only=(0,))
    gone = lab.apply(HOME)
    assert gone.exit_code == 3, gone.stdout
    assert f"--without {uuid_of(1)}" in gone.host("aibox")["refusals"][0]["hint"]
    lab.plug_in()
    missing = lab.apply({**HOME, "chat": replace(serves(card=0), image="localhost/there-is-none:1")})
    assert (missing.exit_code, missing.host("aibox")["status"]) == (1, "refused"), missing.stdout
    assert "cannot be pulled" in missing.host("aibox")["result"]["error"]["message"]
    assert lab.started() == before


def test_a_disk_that_fills_up_during_a_pull_and_an_old_podman_touch_nothing(
    lab: ApplyLab, throwaway_hosts: ThrowawayHosts
) -> None:
    before = lab.started()
    big = slow_registry.serve(throwaway_hosts, lab.host, {"big": 8})["big"]
    lab.root(_SMALL_DISK)
    try:
        full = lab.apply({**HOME, "new": replace(serves(), image=big)})
    finally:
        lab.root("umount /var/tmp")
    assert (full.exit_code, full.host("aibox")["status"]) == (1, "refused"), full.stdout
    error = full.host("aibox")["result"]["error"]
    assert (error["message"], error["where"]) == ("the image cannot be pulled", big)
    assert "no space left" in error["found"]
    assert "make room" in error["hint"]
    assert lab.root(f"podman image exists {big} || echo none") == "none"
    write(lab.host, "usr/local/sbin/podman", _OLD_PODMAN, mode=0o755)
    try:
        old = lab.apply({**HOME, "new": serves()})
    finally:
        lab.root("rm /usr/local/sbin/podman")
    assert old.exit_code == 3, old.stdout
    assert old.document["error"]["message"] == "this Podman is too old"
    assert (old.document["error"]["found"], old.document["error"]["expected"]) == ("4.3", "4.9 or newer")
    assert lab.started() == before
    assert lab.versions() == {"chat": "1", "images": "1", "ui": "1"}
