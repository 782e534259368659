"""`labctl apply` against a simulated host."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.cli import applied
from labctl.edges.held_shell import Completed
from labctl.errors import Failed
from labctl.plan.plan import Solved
from labctl.plan.plan_json import dump
from labctl.transaction.manifest import bound, unbound
from tests.labctl.apply.house import CARDS, CHAT, HOME, UI, Applying, House, Terminal
from tests.labctl.apply.simulated_shell import SimulatedShell
from tests.labctl.plan.plans import FIRST, SECOND, claims, host, plan


def test_from_nothing_everything_starts(apply: Applying, shell: SimulatedShell) -> None:
    answer = apply("--yes")
    assert answer.code == 0, answer
    assert answer.out.startswith(
        "aibox:\n"
        "  + chat         starts on aibox/0, image localhost/chat:1\n"
        "  + ui           starts, image localhost/ui:1\n"
    )
    assert "healthy: chat (" in answer.out
    assert answer.out.endswith("aibox: done, generation 1 is in force\n")
    assert {"labctl-chat", "labctl-ui"} <= set(shell.host.running)


def test_the_same_again_stages_nothing(apply: Applying, shell: SimulatedShell) -> None:
    apply("--yes")
    shell.asked.clear()
    answer = apply()
    assert (answer.code, answer.out) == (0, "aibox: nothing to change, 2 workloads as planned\n")
    assert not shell.touched
    document = apply("--json").document
    assert (document["exit_code"], document["hosts"]["aibox"]["status"]) == (0, "unchanged")


def test_one_change_is_told_with_why_and_starts_it_alone(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    shell.host.started.clear()
    house.write(
        {
            "ui": UI,
            "chat": replace(
                CHAT, image="localhost/chat:2", ram_mib=6144, args=("-c", "16384"), cards=claims(second=8000)
            ),
        }
    )
    answer = apply("--yes")
    told = " ".join(answer.out.split())
    assert "~ chat restarts: " in told
    for why in ("image 1 → 2", "memory limit 4.0 GiB → 6.0 GiB", "arguments -c 8192 → 16384"):
        assert why in told
    assert "cards aibox/0 → aibox/1" in told
    assert "= not touched: ui" in told
    assert {name for name in shell.host.started if "_start" not in name} == {"labctl-chat"}


def test_one_that_left_the_plan_goes_and_its_data_stays(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    house.write({"ui": UI})
    assert "  - chat         stops and goes; its data stays\n" in apply("--yes").out
    assert "labctl-chat" not in shell.host.running


def test_a_plan_that_places_nothing_here_ends_what_runs(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    house.write({})
    assert (apply("--yes").out, shell.touched) == ("", False)
    house.write(HOME)
    apply("--yes")
    house.write({})
    assert apply("--yes").out.count("its data stays") == 2
    assert not [name for name in shell.host.running if name.startswith("labctl-")]


def test_without_a_terminal_nobody_is_asked(apply: Applying, shell: SimulatedShell) -> None:
    answer = apply()
    assert answer.code == 2
    assert "labctl apply --yes" in answer.err
    assert not shell.touched


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("n\n", 1), ("", 1)])
def test_a_person_is_asked(
    apply: Applying, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    answer = apply()
    assert (answer.code, shell.touched) == (code, code == 0)
    assert "Do this? [y/N]" in answer.err


def test_the_document_is_all_there_is(apply: Applying) -> None:
    document = apply("--yes", "--json").document
    one = document["hosts"]["aibox"]
    assert (document["mode"], document["exit_code"], one["status"]) == ("apply", 0, "done")
    assert one["generation"] == {"before": None, "after": 1}
    assert [each["workload"] for each in one["changes"]] == ["chat", "ui"]
    assert one["result"]["outcome"] == "done"


def test_one_that_does_not_come_up_leaves_the_old_one(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    house.write({"ui": UI, "chat": replace(CHAT, image="localhost/none:1")})
    shell.images = ("localhost/chat:1", "localhost/ui:1")
    answer = apply("--yes")
    assert answer.code == 1
    assert "aibox: refused; nothing was touched\n  localhost/none:1: the image cannot be pulled" in answer.out
    assert "next: the registry has no such tag" in answer.out


def test_what_somebody_else_applied_while_it_asked_is_not_undone(
    apply: Applying, house: House, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    apply("--yes")

    def asked(_question: str) -> bool:
        house.write({**HOME, "theirs": UI})
        assert apply("--yes").code == 0
        return True

    house.write({"ui": UI})
    with monkeypatch.context() as then:
        then.setattr(applied, "refuse_unasked", lambda _: None)
        then.setattr(applied, "says_yes", asked)
        answer = apply()
    assert answer.code == 3
    assert "refused; nothing was touched" in answer.out
    assert "another generation has come into force meanwhile (generation 2)" in " ".join(answer.out.split())
    assert {"labctl-chat", "labctl-theirs"} <= set(shell.host.running)


def test_another_apply_that_runs_is_named(apply: Applying, shell: SimulatedShell) -> None:
    shell.running = "transaction 12ab, process 7"
    answer = apply("--yes")
    assert (answer.code, shell.touched) == (1, False)
    assert "transaction 12ab" in answer.out


REFUSED = [
    ({"podman": "podman version 4.3.1"}, "this Podman is too old (found 4.3"),
    ({"podman": ""}, "there is no Podman"),
    ({"cards": CARDS[1:]}, f"labctl place --without {FIRST}"),
    ({"described": (SECOND,)}, "labctl deploy --only container_toolkit"),
    (
        {"listeners": 'tcp LISTEN 0 9 0.0.0.0:20000 0.0.0.0:* users:(("nginx",pid=7,fd=6))'},
        "port 20000/tcp is taken (found nginx (process 7)",
    ),
    (
        {
            "containers": [
                {"Name": "/web", "HostConfig": {"PortBindings": {"80/tcp": [{"HostPort": "20000"}]}}}
            ]
        },
        "found container web,",
    ),
    (
        {
            "card_users": f"{FIRST}, 99, /usr/bin/ollama, 20000",
            "cgroups": "pid 99\n0::/system.slice/ollama.service",
        },
        "4576 MiB left by ollama.service (process 99, 20000 MiB), expected 8000 MiB",
    ),
]


@pytest.mark.parametrize(("there", "words"), REFUSED)
def test_what_stands_in_the_way_is_named_and_nothing_is_touched(
    apply: Applying, shell: SimulatedShell, there: Mapping[str, Any], words: str
) -> None:
    for key, value in there.items():
        setattr(shell, key, value)
    answer = apply("--yes")
    assert answer.code == 3, answer
    told = " ".join((answer.out + answer.err).replace("aibox/0", FIRST).split())
    assert words in told, told
    assert not shell.touched


def test_a_plan_on_no_uuids_is_refused(apply: Applying, house: House, shell: SimulatedShell) -> None:
    house.path.write_text(dump(plan({"ui": UI}, host("aibox/0"), bound=False)))
    answer = apply("--yes")
    assert answer.code == 2
    assert "labctl place WORKLOADS --inventory" in answer.err
    assert shell.asked == []


def test_a_connection_that_breaks_is_made_again(apply: Applying, shell: SimulatedShell) -> None:
    shell.breaks = 2
    answer = apply("--yes")
    assert answer.code == 0
    assert answer.out.count("the connection broke; the host goes on") == 2
    assert answer.out.count("healthy: chat (") == 1
    assert answer.out.count("check: ") == 1


def test_one_that_does_not_come_back_leaves_the_host_to_itself(
    apply: Applying, shell: SimulatedShell
) -> None:
    shell.breaks = 99
    answer = apply("--yes")
    assert answer.code == 1
    told = " ".join(answer.out.split())
    assert "the host goes on by itself" in told
    assert "labctl apply again" in told
    shell.breaks = 0
    assert apply("--yes").out.startswith("aibox: nothing to change")


def test_an_edited_unit_is_told_and_put_right(apply: Applying, shell: SimulatedShell) -> None:
    apply("--yes")
    path = shell.host.layout.installed("units/labctl-ui.container")
    path.write_text(path.read_text() + "# by hand\n")
    answer = apply("--yes")
    assert "~ ui           restarts: edited by hand" in answer.out
    assert "! edited by hand, put right, a copy is kept: units/labctl-ui.container" in answer.out
    assert "# by hand" not in path.read_text()


def test_what_a_person_stopped_starts_again(apply: Applying, shell: SimulatedShell) -> None:
    apply("--yes")
    del shell.host.running["labctl-ui"]
    assert "~ ui           starts again (ui does not run)" in apply("--yes").out
    assert "labctl-ui" in shell.host.running


def test_of_two_hosts_both_or_none(
    apply: Applying, house: House, shell: SimulatedShell, tmp_path: Path
) -> None:
    second = SimulatedShell(tmp_path / "second", name="second")
    house.shells["second"] = second
    both = (host(FIRST, SECOND), host(name="second"))
    house.path.write_text(dump(plan({**HOME, "far": replace(UI, host="second")}, *both)))
    second.podman = ""
    assert (apply("--yes").code, shell.touched) == (3, False)
    second.podman = "podman version 5.4.2"
    answer = apply("--yes")
    assert answer.code == 0
    assert "second: healthy: far" in answer.out or "second: start: " in answer.out
    house.shells["second"] = Failed("the host does not answer", where="second")
    assert apply("--yes").code == 1


def test_no_host_waits_for_the_look_of_another(
    apply: Applying, house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[str] = []

    def begin(asked: SimulatedShell, command: str) -> Callable[[], Completed]:
        def ended() -> Completed:
            looks.append(f"{asked.name} has looked")
            return asked.run(command)

        looks.append(f"{asked.name} begins")
        return ended

    monkeypatch.setattr(SimulatedShell, "begin", begin)
    house.shells["second"] = SimulatedShell(tmp_path / "second", name="second")
    both = (host(FIRST, SECOND), host(name="second"))
    house.path.write_text(dump(plan({**HOME, "far": replace(UI, host="second")}, *both)))
    assert apply("--yes").code == 0
    assert looks == ["aibox begins", "second begins", "aibox has looked", "second has looked"]


def test_hosts_and_inventory_have_to_meet(apply: Applying, house: House, shell: SimulatedShell) -> None:
    house.shells = {"other": shell}
    answer = apply("--yes")
    assert answer.code == 2
    assert "the inventory lacks a host of the plan" in answer.err
    house.shells = {"aibox": shell, "other": Failed("no answer", where="other")}
    assert "note: other is not in this plan: left alone\n" in apply("--yes").out
    shell.name, house.shells = "aibox", {"@local": shell}
    assert apply().out == "aibox: nothing to change, 2 workloads as planned\n"


def test_the_same_apply_again_joins_the_one_that_runs(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    stage, _ = unbound(next(iter(shell.lines)))
    house.write({"ui": UI})
    apply("--yes")
    house.write(HOME)
    shell.running = f"transaction {bound(stage, 2)}, process 7, since now"
    assert "aibox: done" in apply("--yes").out


def test_ctrl_c_leaves_the_host_to_itself(
    apply: Applying, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(shell, "_follow", interrupted)
    answer = apply("--yes")
    assert answer.code == 130
    assert "what was begun goes on by itself" in answer.err


def test_networks_that_a_power_cut_left_go_and_no_others(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    shell.host.networks = {"labctl-chat", "labctl-ui", "labctl-left", "labctl-new"}
    shell.host.used_networks = {"labctl-used"}
    house.write({**HOME, "ui": replace(UI, env={"COLOR": "blue"}), "new": UI})
    answer = apply("--yes")
    assert answer.code == 0
    assert shell.host.networks == {"labctl-chat", "labctl-ui"}  # the new one's unit makes it as it says
    assert "left: labctl-used: Podman's network cannot be removed" in " ".join(answer.out.split())


def test_one_that_was_cut_off_is_noted(apply: Applying, shell: SimulatedShell) -> None:
    shell.cut_off = "12ab"
    assert "note: an earlier transaction was cut off: the host undoes it first\n" in apply("--yes").out


def test_another_plan_for_the_same_units_touches_none(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    apply("--yes")
    shell.host.started.clear()
    house.path.write_text(dump(replace(plan(HOME), solver=Solved(False, ()))))
    answer = apply("--yes")
    assert "= not touched: chat, ui\n  the plan is another, what runs stays as it is\n" in answer.out
    assert answer.out.endswith("generation 2 is in force\n")
    assert shell.host.started == []


def test_a_job_is_put_in_place_and_does_not_run(apply: Applying, house: House) -> None:
    job = replace(UI, when="01:00-07:00")
    house.write({"tune": job})
    assert "+ tune         is put in place; it starts at its time" in apply("--yes").out
    house.write({"tune": replace(job, when="02:00-07:00")})
    assert "~ tune         changes, nothing restarts: time" in apply("--yes").out


def test_a_port_of_its_own_is_not_taken(apply: Applying, house: House, shell: SimulatedShell) -> None:
    apply("--yes")
    shell.listeners = 'tcp LISTEN 0 9 127.0.0.1:20000 0.0.0.0:* users:(("conmon",pid=7,fd=6))'
    house.write({**HOME, "chat": replace(CHAT, image="localhost/chat:2")})
    assert apply("--yes").code == 0


def test_what_stepped_aside_for_a_job_is_not_started_in_its_midst(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    tune = replace(UI, when="01:00-07:00", displaces=("chat",))
    house.write({**HOME, "tune": tune})
    apply("--yes")
    del shell.host.running["labctl-chat"]
    shell.host.running["labctl-tune"] = "a job"
    assert apply().out == "aibox: nothing to change, 3 workloads as planned\n"
    house.write({**HOME, "tune": tune, "ui": replace(UI, env={"COLOR": "blue"})})
    assert apply("--yes").code == 0
    assert "labctl-chat" not in shell.host.running
    del shell.host.running["labctl-tune"]
    assert "~ chat         starts again" in apply("--yes").out
