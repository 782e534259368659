"""The secrets of a host, by the program that runs there, against a simulated Podman."""

from base64 import b64encode
from pathlib import Path

import pytest

from labctl.edges.held_shell import Completed
from labctl.edges.host_secrets import MOST_BYTES, HostSecrets, Put
from labctl.errors import BadInput, Failed
from labctl.render.render import NeededSecret
from tests.labctl.edges.simulated_podman import SimulatedPodman

DATABASE = NeededSecret("files-db-password", "files", "random", 40)
ADMIN = NeededSecret("files-admin-password", "files", "random", 24)
TOKEN = NeededSecret("pictures-hf-token", "pictures", "given")
KEY = NeededSecret("thing-env_API_KEY", "thing", "written", variable="API_KEY")
CANARY = "canary-77 with 'quotes' \"and\" $(more) \\ ümläut"


@pytest.fixture
def podman(tmp_path: Path) -> SimulatedPodman:
    return SimulatedPodman(tmp_path)


@pytest.fixture
def host(podman: SimulatedPodman) -> HostSecrets:
    return HostSecrets("aibox", podman.shell())


@pytest.fixture
def by_processes(podman: SimulatedPodman) -> HostSecrets:
    """The program in a process of its own, as on a host."""
    return HostSecrets("aibox", podman.shell_of_processes())


def test_random_ones_are_made_once(host: HostSecrets, podman: SimulatedPodman) -> None:
    assert host.names() == frozenset()
    assert host.make([DATABASE, ADMIN], {}) == ("files-db-password", "files-admin-password")
    made = podman.secrets
    for needed in (DATABASE, ADMIN):
        value = podman.value(needed.name).decode()
        assert len(value) == needed.characters
        assert value.isascii()
        assert value.isalnum()
        assert made[needed.name]["labels"] == {"labctl.workload": "files", "labctl.made": "random"}
    assert podman.value(DATABASE.name)[:24] != podman.value(ADMIN.name)
    assert host.make([DATABASE, ADMIN], {}) == ()
    assert podman.secrets == made
    assert host.names() == {"files-db-password", "files-admin-password"}


def test_written_ones_are_made_anew_only_where_the_value_is_another(
    host: HostSecrets, podman: SimulatedPodman
) -> None:
    assert host.make([KEY], {KEY.name: CANARY}) == (KEY.name,)
    first = podman.secrets
    assert podman.value(KEY.name).decode() == CANARY
    assert host.make([KEY], {KEY.name: CANARY}) == ()
    assert host.make([KEY], {}) == ()  # a plan without the workloads file that it was made of
    assert podman.secrets == first
    assert host.make([KEY], {KEY.name: f"{CANARY}\n"}) == (KEY.name,)
    assert podman.value(KEY.name).decode() == f"{CANARY}\n"
    assert podman.secrets[KEY.name]["created"] == first[KEY.name]["created"]


def test_no_value_is_on_a_command_line(podman: SimulatedPodman) -> None:
    shell = podman.shell_of_processes()
    secrets = HostSecrets("aibox", shell)
    secrets.make([KEY, ADMIN], {KEY.name: "canary-31"})
    secrets.make([KEY, ADMIN], {KEY.name: "canary-32"})
    revealed = secrets.reveal([KEY.name, ADMIN.name])
    assert revealed[KEY.name] == b"canary-32"
    assert revealed[ADMIN.name] == podman.value(ADMIN.name)
    said = "\n".join([*podman.started(), *shell.ran])
    values = [b"canary-31", b"canary-32", revealed[ADMIN.name]]
    forms = [form.decode() for value in values for form in (value, b64encode(value))]
    assert not [form for form in forms if form in said]


def test_what_has_no_value_anywhere_is_refused_before_anything_is_made(
    host: HostSecrets, podman: SimulatedPodman
) -> None:
    with pytest.raises(BadInput) as refused:
        host.make([DATABASE, TOKEN, KEY], {})
    assert str(refused.value) == (
        "aibox: pictures-hf-token, thing-env_API_KEY: a secret has no value (found neither on the host nor given here)"
        " — labctl secrets set pictures-hf-token"
    )
    assert podman.secrets == {}
    with pytest.raises(BadInput, match="1 to 511999 bytes"):
        host.make([DATABASE, KEY], {KEY.name: "x" * (MOST_BYTES + 1)})
    with pytest.raises(BadInput, match="found 0 bytes"):
        host.make([DATABASE, KEY], {KEY.name: ""})
    assert podman.secrets == {}


def test_killed_between_two_the_next_call_makes_the_rest(
    by_processes: HostSecrets, podman: SimulatedPodman, tmp_path: Path
) -> None:
    (tmp_path / "kill after").write_text("1")
    with pytest.raises(Failed, match="cannot be read"):
        by_processes.make([DATABASE, ADMIN], {})
    first = podman.secrets
    assert list(first) == [DATABASE.name]
    (tmp_path / "kill after").unlink()
    assert by_processes.make([DATABASE, ADMIN], {}) == (ADMIN.name,)
    assert podman.secrets[DATABASE.name] == first[DATABASE.name]


def test_what_podman_has_against_it_is_told_without_the_value(
    by_processes: HostSecrets, tmp_path: Path
) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(Failed) as failed:
        by_processes.make([KEY], {KEY.name: CANARY})
    assert failed.value.found == "Error: no space left on device"
    assert CANARY not in str(failed.value)
    (tmp_path / "bin" / "podman").unlink()
    with pytest.raises(Failed, match="podman: No such file"):
        by_processes.names()


def test_a_program_that_ends_without_an_answer_is_not_quoted(podman: SimulatedPodman) -> None:
    shell = podman.shell()
    shell.run = lambda *_, **__: Completed(1, b"", CANARY.encode())  # type: ignore[method-assign]  # it has died
    with pytest.raises(Failed) as failed:
        HostSecrets("aibox", shell).reveal(["one"])
    assert str(failed.value) == ("aibox: the host's secrets cannot be read (found no answer, exit status 1)")


def test_put_replaces_no_more_than_it_may(host: HostSecrets, podman: SimulatedPodman) -> None:
    one = Put("files-admin-password", "files", "random", value=b"\xff\x00 two\nlines\n")
    assert host.put([one]) == {one.name: "made"}
    assert podman.value(one.name) == one.value
    assert host.put([one]) == {one.name: "same"}
    other = Put(one.name, "files", "random", value=b"other")
    assert host.put([other]) == {one.name: "kept"}
    assert host.reveal([one.name]) == {one.name: one.value}
    anew = Put(one.name, "files", "random", characters=24, over="anything")
    assert host.put([anew]) == {one.name: "changed"}
    assert len(podman.value(one.name)) == 24


def test_a_look_tells_everything_but_the_values(host: HostSecrets, tmp_path: Path) -> None:
    host.make([DATABASE, KEY], {KEY.name: CANARY})
    (tmp_path / "units" / "labctl-files.container").write_text(
        "[Container]\nImage=x\nSecret=files-db-password,target=/run/secrets/x,uid=33,gid=0,mode=0400\n"
        "Secret=files-admin-password\n# Secret=none\n"
    )
    (tmp_path / "units" / "labctl-other.container").write_text("[Container]\nImage=x\n")
    (tmp_path / "units" / "labctl-thing.container").write_text(
        "[Container]\nSecret=thing-env_API_KEY,type=env\n"
    )
    (tmp_path / "labctl-files.service").write_text("ActiveState=active\nInactiveExitTimestamp=@1795280400\n")
    (tmp_path / "plan.json").write_text("{}\n")
    seen = host.look()
    assert {name: (each.workload, each.made) for name, each in seen.secrets.items()} == {
        DATABASE.name: ("files", "random"),
        KEY.name: ("thing", "written"),
    }
    assert seen.secrets[KEY.name].updated_at.isoformat().startswith("2026-11-21T17:00:")
    files, thing = seen.units
    assert (files.unit, files.secrets) == ("labctl-files.service", (DATABASE.name, ADMIN.name))
    assert (files.active, files.started_at) == (True, 1795280400)
    assert (thing.unit, thing.secrets, thing.active, thing.started_at) == (
        "labctl-thing.service", (KEY.name,), False, None,
    )  # fmt: skip
    assert seen.plan == "{}\n"
    assert CANARY not in repr(seen)


def test_somebody_else_who_makes_it_in_between_wins(host: HostSecrets, podman: SimulatedPodman) -> None:
    host.make([ADMIN], {})
    first = podman.value(ADMIN.name)
    (podman.folder / "hidden once").touch()
    assert host.make([ADMIN], {}) == ()
    assert podman.value(ADMIN.name) == first


def test_values_that_no_generation_takes_go_but_for_the_newest(
    host: HostSecrets, podman: SimulatedPodman
) -> None:
    names = [KEY.name, *(f"{KEY.name}.{number:08x}" for number in range(5))]
    for number, name in enumerate(names):
        host.put([Put(name, "thing", "written", value=f"value {number}".encode())])
    given = Put("thing-env_OTHER.0000000a", "thing", "given", value=b"of somebody else's making")
    host.put([given, Put("thing-env_LAST", "thing", "written", value=b"of a workload that left")])
    takers = {
        "library/generations/3/units": names[1],
        "library/stages/12ab/units": names[3],
        "units": names[4],
    }
    for place, name in takers.items():
        unit = podman.folder / place / "labctl-thing.container"
        unit.parent.mkdir(parents=True, exist_ok=True)
        unit.write_text(f"[Container]\nSecret={name},type=env,target=API_KEY\n")
    assert set(host.prune()) == {names[0], names[2]}
    assert host.names() == {names[1], *names[3:], given.name, "thing-env_LAST"}
    assert host.prune() == ()
