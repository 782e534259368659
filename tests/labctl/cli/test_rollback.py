"""`labctl rollback` against a simulated host."""

import json
from dataclasses import replace
from pathlib import Path

from labctl.plan.plan_json import dump
from tests.labctl.apply.house import CHAT, UI, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedShell
from tests.labctl.cli.fit_command import Command
from tests.labctl.plan.plans import host, plan


def test_rollback_goes_to_the_one_before(
    apply: Applying, rollback: Command, house: House, shell: SimulatedShell
) -> None:
    assert rollback("--yes").code == 2
    apply("--yes")
    assert "there is no earlier generation" in rollback("--yes").err
    house.write({"chat": replace(CHAT, image="localhost/chat:2")})
    apply("--yes")
    shell.asked.clear()
    answer = rollback("--yes")
    assert answer.code == 0, answer
    # This labctl's program is sent, and no stage with it.
    assert [each[-9:] for each in shell.asked if " stage " in each] == [" stage ''"]
    assert "~ chat         restarts: image 2 → 1\n  + ui           starts" in answer.out
    assert answer.out.endswith("aibox: done, generation 1 is in force\n")
    assert "chat:1" in shell.host.running["labctl-chat"]
    assert rollback("2", "--yes").out.endswith("aibox: done, generation 2 is in force\n")
    assert rollback("7", "--yes").code == 2


def test_rollback_lists_what_there_is(
    apply: Applying, rollback: Command, house: House, shell: SimulatedShell
) -> None:
    assert "nothing in place" in rollback("--list").out
    apply("--yes")
    house.write({"ui": UI})
    apply("--yes")
    shell.asked.clear()
    assert rollback("--list").out == (
        "aibox:\n*    2  since 2026-11-21 13:00 UTC, came after 1\n     1  since 2026-11-21 13:00 UTC\n"
    )
    assert not shell.touched
    document = rollback("--list", "--json").document
    assert [each["number"] for each in document["hosts"]["aibox"]["generations"]] == [2, 1]
    assert json.dumps(document)


def test_rollback_wants_one_host(apply: Applying, rollback: Command, house: House, tmp_path: Path) -> None:
    apply("--yes")
    second = SimulatedShell(tmp_path / "second", name="second")
    house.path.write_text(dump(plan({"far": replace(UI, host="second")}, host(name="second"))))
    house.shells["second"] = second
    apply("--yes")
    answer = rollback("--yes")
    assert answer.code == 2
    assert "which host is meant?" in answer.err
