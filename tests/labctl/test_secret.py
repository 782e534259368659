"""A secret is read when it is used, and everything else that looks at it sees a mask."""

import copy
import json
from pathlib import Path

import pytest

from labctl.errors import BadInput
from labctl.mask import MASK
from labctl.secret import Secret

_CANARY = "canary-5f1d"


@pytest.fixture
def secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Secret]:
    """The same secret from both sources."""
    monkeypatch.setenv("LABCTL_TEST_SECRET", _CANARY)
    path = tmp_path / "token"
    path.write_text(_CANARY + "\n")
    return [Secret.env("LABCTL_TEST_SECRET"), Secret.file(path), copy.deepcopy(Secret.file(str(path)))]


def test_it_is_revealed_when_asked_for(secrets: list[Secret]) -> None:
    assert [secret.reveal() for secret in secrets] == [_CANARY] * 3


def test_nothing_else_shows_it(secrets: list[Secret]) -> None:
    for secret in secrets:
        shown = [str(secret), repr(secret), f"{secret}", f"{secret!r}", str(vars(secret))]
        shown += [repr({"password": secret}), json.dumps(secret, default=lambda one: one.to_json())]
        assert MASK in shown[0]
        assert not any(_CANARY in text for text in shown)


def test_an_empty_variable_and_a_missing_file_are_told_where_the_secret_belongs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABCTL_TEST_EMPTY", "")
    monkeypatch.delenv("LABCTL_TEST_UNSET", raising=False)
    for secret, where in (
        (Secret.env("LABCTL_TEST_EMPTY"), "environment variable LABCTL_TEST_EMPTY"),
        (Secret.env("LABCTL_TEST_UNSET"), "environment variable LABCTL_TEST_UNSET"),
        (Secret.file(tmp_path / "none"), f"file {tmp_path / 'none'}"),
    ):
        with pytest.raises(BadInput, match="a secret is missing") as refused:
            secret.reveal()
        assert refused.value.where == where


def test_a_file_that_is_no_text_is_refused_without_quoting_it(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xfe\xed" + _CANARY.encode())
    with pytest.raises(BadInput) as refused:
        Secret.file(path).reveal()
    assert "0xfe" not in str(refused.value)
    assert _CANARY not in str(refused.value)


def test_a_home_directory_and_inner_line_ends_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("one\ntwo\n\n")
    assert Secret.file("~/token").reveal() == "one\ntwo\n"
