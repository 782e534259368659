"""`labctl render`: shows what a host would be sent, or writes it."""

import json
from pathlib import Path

import pytest

from labctl.plan.plan_json import dump
from labctl.transaction.manifest import parse
from tests.labctl.cli.fit_command import Command
from tests.labctl.plan.plans import FIRST, host, plan, runs
from tests.labctl.render.cases import CASES, case_plan, rendered, texts

PLAN = str(CASES / "plan.json")


@pytest.fixture(name="render")
def _render(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "render")


def test_it_prints_every_file_and_what_it_takes(render: Command) -> None:
    answer = render(PLAN)
    assert answer.code == 0
    shown = [line.removeprefix("──── ") for line in answer.out.splitlines() if line.startswith("──── ")]
    assert shown == list(texts(rendered(case_plan())))
    assert f"aibox: {len(shown)} files\nimage: docker.io/axolotlai/" in answer.out
    assert "secret: files-db-password (random)" in answer.out
    assert "model of chat: qwen2.5-7b/qwen2.5-7b-Q8_0.gguf" in answer.out


def test_it_writes_what_the_host_would_be_sent(render: Command, tmp_path: Path) -> None:
    out = tmp_path / "stage"
    assert "──── " not in render(PLAN, "--out", str(out)).out
    manifest = parse((out / "manifest.json").read_text(), "manifest.json")
    there = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert there == {*(each.path for each in manifest.files), "manifest.json"}
    again = render(PLAN, "--out", str(out))
    assert again.code == 2
    assert "the folder is not empty" in again.err


def test_the_document_has_the_same(render: Command) -> None:
    document = render(PLAN, "--json", "--podman", "4.9.3").document
    assert set(document) == {"schema_version", "host", "out", "files", "images", "secrets", "model_files"}
    assert "PodmanArgs=--stop-timeout=30" in document["files"]["units/labctl-chat.container"]
    assert json.dumps(document).count("canary") == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "other"), "--host: no host of this plan (found other, expected aibox)"),
        (("--podman", "4.3"), "--podman: this Podman is too old (found 4.3, expected 4.9 or newer)"),
        (("--podman", "x"), "--podman: this is no version of Podman (found x, expected as 5.4)"),
    ],
)
def test_what_is_wrong_is_told(render: Command, arguments: tuple[str, ...], message: str) -> None:
    answer = render(PLAN, *arguments)
    assert answer.code == 2
    assert message in answer.err


def test_of_several_hosts_one_is_named(render: Command, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(dump(plan({"w": runs("open-webui")}, host(FIRST), host(name="second"))))
    assert "--host: which host is meant? (found 2 hosts, expected aibox, second)" in render(str(path)).err
    assert render(str(path), "--host", "second").out == "second: 0 files\n"


def test_a_plan_without_uuids_is_to_look_at(render: Command, tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    path.write_text(dump(plan({"w": runs("open-webui")}, host("aibox/0"), bound=False)))
    assert render(str(path)).out.endswith("have no UUIDs: to look at, not to apply\n")
    assert "to look at" not in render(PLAN).out
