"""Receipts tell drift from news, and say nothing that could be guessed from."""

import json

import pytest

from labctl.hoststate import receipt
from labctl.hoststate.observation import FileSeen, Observations
from labctl.hoststate.receipt import Cause, Receipt, ReceiptFile, salted
from labctl.hoststate.resource import Pending


def _seen(text: str, mode: str = "600") -> Observations:
    file = FileSeen("regular file", mode, "root", "root", 1.0, "x") if text else None
    return Observations(files={receipt.PATH: file}, texts={receipt.KEY: text, "receipt salt": "5a17\n"})


_FILE = ReceiptFile("1.2.3", ("base",), (("base: files", "digest-1"),))


def _written(file: ReceiptFile, seen: Observations) -> str:
    import base64

    return base64.b64decode(file.action(seen).stdin[0]).decode()


def test_same_digest_is_drift_another_is_news_none_is_a_new_host() -> None:
    text = _written(_FILE, _seen(""))
    known = receipt.parse(text)
    assert receipt.cause(known, "base: files", "digest-1") is Cause.DRIFT
    assert receipt.cause(known, "base: files", "digest-2") is Cause.NEWS
    assert receipt.cause(known, "base: added later", "digest-1") is Cause.NEWS
    assert receipt.cause(None, "base: files", "digest-1") is Cause.NEW_HOST


def test_it_is_written_once_and_then_left_alone() -> None:
    assert _FILE.compare(_seen(""), Pending()) is not None
    assert _FILE.compare(_seen(_written(_FILE, _seen(""))), Pending()) is None


def test_one_that_others_may_read_is_written_anew() -> None:
    seen = _seen(_written(_FILE, _seen("")), mode="644")
    assert _FILE.compare(seen, Pending()) is not None
    assert _FILE.cause(seen) is Cause.DRIFT
    changed = ReceiptFile("1.2.3", ("base",), (("base: files", "digest-2"),))
    assert changed.cause(seen) is Cause.NEWS
    assert changed.cause(_seen("")) is Cause.NEW_HOST


def test_a_newer_labctl_that_wants_the_same_writes_nothing() -> None:
    text = _written(_FILE, _seen(""))
    newer = ReceiptFile("1.3.0", ("base",), (("base: files", "digest-1"),))
    assert newer.compare(_seen(text), Pending()) is None


def test_roles_that_did_not_run_keep_their_entries_and_operations_that_went_lose_theirs() -> None:
    old = Receipt("5a17", "1", {"base: gone": "x", "podman: kept": "y"}).to_json()
    after = receipt.parse(_written(_FILE, _seen(old)))
    assert after is not None
    assert set(after.wanted) == {"base: files", "podman: kept"}


def test_the_same_want_has_another_digest_on_another_host() -> None:
    assert salted("a", "digest-1") != salted("b", "digest-1")
    assert "digest-1" not in _written(_FILE, _seen(""))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"schema_version": 99}', json.dumps({"schema_version": 1})]
)
def test_a_receipt_that_cannot_be_read_is_none(text: str) -> None:
    assert receipt.parse(text) is None
