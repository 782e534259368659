"""`labctl secrets`, against a simulated host: what is told, what leaves it, and what is refused."""

import io
import json
import stat
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from labctl.__main__ import run as run_command
from labctl.cli import secrets_export, secrets_hosts
from labctl.edges.exported_secrets import sealed
from labctl.edges.held_shell import HeldShell
from labctl.edges.host_secrets import HostSecrets, Put
from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED, Failed, LabctlError
from labctl.plan.plan_json import dump
from labctl.render.render import NeededSecret
from tests.labctl.cli.fit_command import Command
from tests.labctl.edges.simulated_podman import SimulatedPodman
from tests.labctl.plan.plans import claims, plan, runs

PLAN = plan(
    {
        "files": runs("nextcloud"),
        "ui": runs("open-webui"),
        "pictures": runs("comfyui", cards=claims(first=8000)),
        "thing": runs("container", image="localhost/thing:1", secrets=("env.API_KEY",)),
    }
)
NEEDED = (
    NeededSecret("files-db-password", "files", "random", 40),
    NeededSecret("files-admin-password", "files", "random", 24),
    NeededSecret("ui-secret-key", "ui", "random", 48),
    NeededSecret("thing-env_API_KEY", "thing", "written", variable="API_KEY"),
)
CANARY = "canary-45"


class Typed(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class Piped:
    """Standard input that is no terminal."""

    def __init__(self, content: bytes) -> None:
        self.buffer = io.BytesIO(content)

    def isatty(self) -> bool:
        return False


@dataclass
class Hosts:
    """Simulated hosts by name, and who asks them."""

    podman: Mapping[str, SimulatedPodman]
    unread: Mapping[str, LabctlError]
    asked: list[str]

    @contextmanager
    def shells(self, inventory: str) -> Iterator[Mapping[str, HeldShell | LabctlError]]:
        self.asked.append(inventory)
        yield {**{name: each.shell() for name, each in self.podman.items()}, **self.unread}


def applied(podman: SimulatedPodman) -> SimulatedPodman:
    HostSecrets("aibox", podman.shell()).make(NEEDED, {"thing-env_API_KEY": CANARY})
    (podman.folder / "plan.json").write_text(dump(PLAN))
    units = {"files": "files-admin-password", "files-db": "files-db-password", "ui": "ui-secret-key"}
    for unit, secret in units.items():
        (podman.folder / "units" / f"labctl-{unit}.container").write_text(
            f"[Container]\nSecret={secret},type=env\n"
        )
        (podman.folder / f"labctl-{unit}.service").write_text(
            "ActiveState=active\nInactiveExitTimestamp=@1795280460\n"
        )
    return podman


def connected(
    monkeypatch: pytest.MonkeyPatch, unread: Mapping[str, LabctlError], **podman: SimulatedPodman
) -> Hosts:
    hosts = Hosts(podman, unread, [])
    monkeypatch.setattr(secrets_hosts, "host_shells", hosts.shells)
    monkeypatch.setattr(secrets_export, "sealed", partial(sealed, work_factor=4))
    monkeypatch.setattr(sys, "stdin", Piped(b""))
    return hosts


@pytest.fixture
def aibox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SimulatedPodman:
    """A host on which the plan was applied."""
    (tmp_path / "aibox").mkdir()
    podman = applied(SimulatedPodman(tmp_path / "aibox"))
    connected(monkeypatch, {}, aibox=podman)
    return podman


@pytest.fixture
def secrets(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "secrets")


def test_the_list_says_what_for_and_no_value(aibox: SimulatedPodman, secrets: Command) -> None:
    answer = secrets()
    lines = answer.out.splitlines()
    assert (answer.code, answer.err, lines[0]) == (DONE, "", "aibox: 6 secrets")
    assert max(map(len, lines)) <= 80
    at = lines.index("  files-admin-password")
    assert lines[at + 1 : at + 3] == [
        "    first password of the account admin",
        "    made at random 2026-11-21 17:00, in use",
    ]
    at = lines.index("  pictures-hf-token")
    assert lines[at + 2] == "    not given, and it does without: labctl secrets set pictures-hf-token"
    assert "    from the workloads file 2026-11-21 17:00, no unit takes it" in lines
    assert "    not there: labctl apply makes it" in lines  # ui-admin-password
    values = [aibox.value(name).decode() for name in aibox.secrets]
    document = secrets("--json")
    assert not [value for value in values if value in answer.out + document.out]
    rows = {each["name"]: each for each in document.document["hosts"]["aibox"]["secrets"]}
    assert rows["ui-secret-key"]["changed_by"] == "restart"
    assert rows["ui-secret-key"]["units"] == ["labctl-ui.service"]
    assert (rows["pictures-hf-token"]["there"], rows["pictures-hf-token"]["made"]) == (False, "given")
    assert rows["files-admin-password"]["procedure"].startswith("on the host, podman exec")


def test_what_a_unit_runs_without_is_said(aibox: SimulatedPodman, secrets: Command) -> None:
    assert "!" not in secrets().out
    (aibox.folder / "labctl-ui.service").write_text("ActiveState=active\nInactiveExitTimestamp=@1795270000\n")
    answer = secrets()
    assert answer.out.count("! newer than what runs: labctl restart ui") == 1
    rows = {each["name"]: each for each in secrets("--json").document["hosts"]["aibox"]["secrets"]}
    assert rows["ui-secret-key"]["units_with_the_old_value"] == ["labctl-ui.service"]
    assert rows["files-admin-password"]["units_with_the_old_value"] == []


def test_before_the_first_apply_there_is_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Command
) -> None:
    connected(monkeypatch, {}, aibox=SimulatedPodman(tmp_path))
    assert secrets().out == "aibox: no secrets yet; `labctl apply` makes what services need\n"
    assert "none: nothing was applied yet" in secrets.refusal("show", "files-admin-password")


def test_a_secret_whose_workload_has_left_is_still_told(aibox: SimulatedPodman, secrets: Command) -> None:
    (aibox.folder / "plan.json").write_text(dump(plan({"ui": runs("open-webui")})))
    out = secrets().out
    assert "    of files; no plan in force takes it" in out
    assert "pictures" not in out
    (aibox.folder / "plan.json").write_text("{}")
    answer = secrets()
    assert answer.code == FAILED
    assert "aibox: the plan in force" in answer.err
    assert secrets("show", "files-db-password").code == DONE


def test_one_value_is_shown_alone(
    aibox: SimulatedPodman, secrets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    value = aibox.value("files-admin-password").decode()
    answer = secrets("show", "files-admin-password")
    assert (answer.code, answer.out, answer.err) == (DONE, value, "")
    document = secrets("show", "files-admin-password", "--json").document
    assert (document["value"], document["workload"], document["host"]) == (value, "files", "aibox")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    answer = secrets("show", "files-admin-password")
    assert answer.out == f"{value}\n"
    assert answer.err == "aibox: first password of the account admin\n"


@pytest.mark.usefixtures("aibox")
def test_what_cannot_be_shown_is_refused(secrets: Command) -> None:
    assert "files-admin-password?" in secrets.refusal("show", "files-admin-pasword")
    missing = secrets("show", "ui-admin-password")
    assert (missing.code, missing.out) == (ANSWER_IS_NO, "")
    assert "labctl apply makes it" in missing.err
    assert "labctl secrets set pictures-hf-token" in secrets("show", "pictures-hf-token").err
    assert run_command(["secrets", "--inventory", "x.py", "show", "ui-secret-key"]) == BAD_INPUT


def test_a_value_is_given_by_standard_input(
    aibox: SimulatedPodman, secrets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(f"{CANARY}\nand more\n".encode()))
    answer = secrets("set", "pictures-hf-token")
    assert answer.out == "aibox: pictures-hf-token is kept.\nIt takes effect with: labctl apply\n"
    assert aibox.value("pictures-hf-token").decode() == f"{CANARY}\nand more"
    assert aibox.secrets["pictures-hf-token"]["labels"] == {
        "labctl.workload": "pictures",
        "labctl.made": "given",
    }
    monkeypatch.setattr(sys, "stdin", Piped(f"{CANARY}\nand more".encode()))
    assert "nothing changed" in secrets("set", "pictures-hf-token").out
    assert secrets.refusal("set", "pictures-hf-token").startswith("pictures-hf-token: no value was given")
    assert CANARY not in "\n".join(aibox.started())


def test_a_value_is_asked_for(
    aibox: SimulatedPodman, secrets: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", Typed())
    monkeypatch.setattr("getpass.getpass", lambda question: f"{CANARY} for {question}")
    document = secrets("set", "thing-env_API_KEY", "--json").document
    assert (document["outcome"], document["next"]) == ("changed", "labctl apply")
    assert aibox.value("thing-env_API_KEY").decode() == f"{CANARY} for thing-env_API_KEY: "
    assert aibox.secrets["thing-env_API_KEY"]["labels"]["labctl.made"] == "written"
    (aibox.folder / "units" / "labctl-thing.container").write_text(
        "[Container]\nSecret=thing-env_API_KEY,type=env\n"
    )
    monkeypatch.setattr("getpass.getpass", lambda _: "another")
    assert secrets("set", "thing-env_API_KEY", "--json").document["next"] == "labctl restart thing"


def test_of_several_values_the_one_that_runs_is_meant(
    aibox: SimulatedPodman, secrets: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    host = HostSecrets("aibox", aibox.shell())
    for digits, value in (("00000001", b"in force"), ("00000002", b"of an apply that failed")):
        host.put([Put(f"thing-env_API_KEY.{digits}", "thing", "written", value=value)])
    assert secrets("show", "thing-env_API_KEY").out == "of an apply that failed"
    (aibox.folder / "units" / "labctl-thing.container").write_text(
        "[Container]\nSecret=thing-env_API_KEY.00000001,type=env\n"
    )
    assert secrets("show", "thing-env_API_KEY").out == "in force"
    assert secrets().out.count("thing-env_API_KEY") == 1
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery staple")
    file = str(tmp_path / "x.age")
    assert secrets("export", file, "--passphrase-file", str(phrase)).code == DONE
    monkeypatch.setattr(sys, "stdin", Piped(b"set by hand"))
    assert secrets("set", "thing-env_API_KEY").out.startswith("aibox: thing-env_API_KEY is kept.")
    assert aibox.value("thing-env_API_KEY.00000001") == b"set by hand"
    put_back = secrets("import", file, "--replace", "--passphrase-file", str(phrase))
    assert "thing-env_API_KEY: replaced" in put_back.out
    assert aibox.value("thing-env_API_KEY.00000001") == b"in force"
    assert aibox.value("thing-env_API_KEY").decode() == CANARY


def test_a_token_can_be_given_before_anything_was_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Command
) -> None:
    podman = SimulatedPodman(tmp_path)
    connected(monkeypatch, {}, aibox=podman)
    monkeypatch.setattr(sys, "stdin", Piped(b"hf_abc\n"))
    assert secrets("set", "my-pictures-hf-token").code == DONE
    assert podman.secrets["my-pictures-hf-token"]["labels"]["labctl.workload"] == "my-pictures"
    assert "no secret of this name" in secrets.refusal("set", "my-pictures-hf-tokem")


def test_what_labctl_makes_is_nobodys_to_give(aibox: SimulatedPodman, secrets: Command) -> None:
    before = aibox.secrets
    assert "labctl secrets rotate ui-secret-key" in secrets.refusal("set", "ui-secret-key")
    assert "labctl makes this one itself" in secrets.refusal("set", "files-admin-password")
    assert aibox.secrets == before


def test_a_new_value_where_a_restart_takes_it(aibox: SimulatedPodman, secrets: Command) -> None:
    before = aibox.secrets
    answer = secrets("rotate", "ui-secret-key")
    assert answer.out == ("aibox: ui-secret-key has a new value.\nIt takes effect with: labctl restart ui\n")
    value = aibox.value("ui-secret-key").decode()
    assert (len(value), value.isalnum()) == (48, True)
    assert value not in answer.out
    assert aibox.secrets["ui-secret-key"]["value"] != before["ui-secret-key"]["value"]
    assert aibox.secrets.keys() == before.keys()


def test_no_new_value_where_the_service_has_the_old_one(aibox: SimulatedPodman, secrets: Command) -> None:
    before = aibox.secrets
    answer = secrets("rotate", "files-admin-password")
    assert (answer.code, answer.out) == (ANSWER_IS_NO, "")
    assert "nextcloud keeps it in its own data, too" in answer.err
    assert "podman exec -it --user 33 labctl-files php occ user:resetpassword admin" in answer.err
    assert "no way to change it there is documented" in secrets("rotate", "files-db-password").err
    assert "labctl secrets set thing-env_API_KEY" in secrets.refusal("rotate", "thing-env_API_KEY")
    assert secrets("rotate", "ui-admin-password").code == ANSWER_IS_NO
    (aibox.folder / "plan.json").unlink()
    assert "no plan in force takes this secret" in secrets("rotate", "ui-secret-key").err
    assert aibox.secrets == before


@pytest.fixture
def passphrase(tmp_path: Path) -> list[str]:
    file = tmp_path / "passphrase"
    file.write_text("four random words here\n")
    return ["--passphrase-file", str(file)]


def test_what_was_exported_comes_back_on_a_host_that_lacks_it(
    aibox: SimulatedPodman,
    secrets: Command,
    passphrase: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "home.age"
    answer = secrets("export", str(file), *passphrase)
    assert (answer.code, answer.out.splitlines()[0]) == (DONE, f"4 secrets of aibox, encrypted: {file}")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert "files" not in file.read_text()
    assert "there already" in secrets.refusal("export", str(file), *passphrase)
    assert secrets("export", str(file), *passphrase, "--replace", "--json").document["host"] == "aibox"
    before = aibox.secrets
    (aibox.folder / "secrets.json").write_text("{}")
    assert secrets("import", str(file), *passphrase).code == DONE
    assert {name: (each["value"], each["labels"]) for name, each in aibox.secrets.items()} == {
        name: (each["value"], each["labels"]) for name, each in before.items()
    }
    again = secrets("import", str(file), *passphrase)
    assert (again.code, again.out.count("there already, with the same value")) == (DONE, 4)
    monkeypatch.setattr(sys, "stdin", Typed())
    wrong = tmp_path / "wrong"
    wrong.write_text("not this one\n")
    assert "not the one of this file" in secrets.refusal("import", str(file), "--passphrase-file", str(wrong))


def test_an_import_overwrites_only_when_told_to(
    aibox: SimulatedPodman, secrets: Command, passphrase: list[str], tmp_path: Path
) -> None:
    file = str(tmp_path / "home.age")
    assert secrets("export", file, *passphrase).code == DONE
    old = aibox.value("ui-secret-key")
    assert secrets("rotate", "ui-secret-key").code == DONE
    new = aibox.value("ui-secret-key")
    answer = secrets("import", file, *passphrase)
    assert answer.code == ANSWER_IS_NO
    assert "ui-secret-key: left as it is: the host has another value" in answer.out
    assert aibox.value("ui-secret-key") == new
    document = secrets("import", file, *passphrase, "--json").document
    assert (document["exit_code"], document["outcomes"]["ui-secret-key"]) == (ANSWER_IS_NO, "kept")
    assert secrets("import", file, *passphrase, "--replace").code == DONE
    assert aibox.value("ui-secret-key") == old


@pytest.mark.usefixtures("aibox")
def test_a_passphrase_is_asked_for_twice(
    secrets: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "home.age"
    assert "--passphrase-file" in secrets.refusal("export", str(file))
    monkeypatch.setattr(sys, "stdin", Typed())
    answers = iter(["short", "long enough", "long enogh", "long enough", "long enough", "long enough"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    assert "expected 8 or more" in secrets.refusal("export", str(file))
    assert "differ" in secrets.refusal("export", str(file))
    assert not file.exists()
    assert secrets("export", str(file)).code == DONE
    assert secrets("import", str(file)).code == DONE


def test_of_several_hosts_the_one_that_has_it_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secrets: Command, passphrase: list[str]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    one, two = applied(SimulatedPodman(tmp_path / "one")), SimulatedPodman(tmp_path / "two")
    hosts = connected(monkeypatch, {}, one=one, two=two)
    assert secrets("show", "ui-secret-key", "--inventory", "h.py").out == one.value("ui-secret-key").decode()
    assert hosts.asked == ["h.py"]
    assert "expected h.py:one" in secrets.refusal(
        "export", str(tmp_path / "x"), *passphrase, "--inventory", "h.py"
    )
    applied(two)
    assert "found one, two" in secrets.refusal("show", "ui-secret-key")
    connected(monkeypatch, {"two": Failed("the host does not answer", where="two")}, one=one)
    assert secrets("show", "ui-secret-key").code == DONE
    listed = secrets()
    assert (listed.code, listed.err) == (FAILED, "labctl: two: the host does not answer\n")
    assert "ui-secret-key" in listed.out
    assert json.loads(secrets("--json").out)["problems"] == {"two": "two: the host does not answer"}
    assert secrets("show", "no-such").code == FAILED
