"""Secrets in `env`, as `labctl apply` keeps them on a simulated host: also the one before, as long as it is wanted."""

from dataclasses import replace

import pytest

from labctl.edges.host_transactions import HostTransactions
from labctl.errors import Failed
from labctl.transaction import starting
from tests.labctl.apply.house import UI, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedShell

CANARY = "canary-7f3a9c"


def test_a_secret_in_env_comes_from_the_workloads_file(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    house.write({"ui": replace(UI, secrets=("env.API_KEY",))})
    answer = apply("--yes")
    assert answer.code == 2
    assert "--workloads workloads/home.yaml" in " ".join(answer.out.split())
    wishes = house.folder / "home.yaml"
    wishes.write_text(
        "workloads:\n  ui:\n    service: container\n    image: localhost/ui:1\n    vram_mib: 0\n"
        f"    env: {{COLOR: red, API_KEY: {CANARY}}}\n"
    )
    made = apply("--yes", "--workloads", str(wishes))
    assert made.code == 0, made
    assert shell.secrets == {"ui-env_API_KEY": CANARY.encode()}
    assert apply("--yes").out.startswith("aibox: nothing to change")
    assert apply("--workloads", str(wishes)).out.startswith("aibox: nothing to change")
    wishes.write_text(wishes.read_text().replace(CANARY, f"{CANARY}-2"))
    renewed = apply("--yes", "--workloads", str(wishes))
    assert (
        "  ~ ui           restarts: another value for API_KEY\n  secrets made: ui-env_API_KEY\n"
        in renewed.out
    )
    assert (taken(shell), shell.pruned) == (f"{CANARY}-2".encode(), 1)
    assert len(shell.secrets) == 2  # a rollback needs the other
    assert apply().out.startswith("aibox: nothing to change")
    assert apply("--workloads", str(wishes)).out.startswith("aibox: nothing to change")
    # One that the host has already is not made again.
    wishes.write_text(wishes.read_text().replace(f"{CANARY}-2", CANARY))
    document = apply("--yes", "--json", "--workloads", str(wishes)).document["hosts"]["aibox"]
    assert (document["new_secrets"], document["renewed_secrets"]) == ([], ["ui-env_API_KEY"])
    assert (taken(shell), len(shell.secrets)) == (CANARY.encode(), 2)
    told = "".join(each.out + each.err for each in (answer, made, renewed)) + "".join(shell.asked)
    assert CANARY not in told


def taken(shell: SimulatedShell) -> bytes:
    """The value that ui takes, as its installed unit says."""
    text = shell.host.layout.installed("units/labctl-ui.container").read_text()
    name = next(line for line in text.splitlines() if line.startswith("Secret="))[7:].partition(",")[0]
    return shell.secrets[name]


@pytest.mark.parametrize("how", ["does not come up", "refused", "cut off before it is staged"])
def test_what_ran_before_keeps_its_secret_when_an_apply_fails(
    apply: Applying, house: House, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    wishes = house.folder / "home.yaml"
    wishes.write_text(
        "workloads:\n  ui: {service: container, image: localhost/ui:1, vram_mib: 0, env: {API_KEY: old}}\n"
    )
    ui = replace(UI, secrets=("env.API_KEY",))
    house.write({"ui": ui})
    assert apply("--yes", "--workloads", str(wishes)).code == 0
    wishes.write_text(wishes.read_text().replace("API_KEY: old", "API_KEY: new"))
    with monkeypatch.context() as then:
        if how == "does not come up":
            then.setattr(starting, "judge", lambda unit, *_: "it ends" if "ui" in unit.name else "healthy")
        elif how == "refused":
            house.write({"ui": replace(ui, image="localhost/none:1")})
            shell.images = ("localhost/ui:1",)
        else:
            then.setattr(HostTransactions, "stage", lambda *_: (_ for _ in ()).throw(Failed("cut off")))
        assert apply("--yes", "--workloads", str(wishes)).code == 1
    assert taken(shell) == b"old"
    assert b"new" in shell.secrets.values()
    house.write({"ui": ui})
    # Whoever has no workloads file at hand goes on with what is in force.
    assert apply("--yes").code == 0
    assert taken(shell) == b"old"
    assert apply("--yes", "--workloads", str(wishes)).code == 0
    assert (taken(shell), len(shell.secrets)) == (b"new", 2)
