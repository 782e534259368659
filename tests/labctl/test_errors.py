import pytest

from labctl.errors import AnswerIsNo, BadInput, Failed, Interrupted, LabctlError


def test_one_line_says_where_what_found_expected_and_next() -> None:
    error = BadInput(
        "not a size",
        where="inventory/home.py: aibox.base.journald_max_use",
        found="'12 parsecs'",
        expected="a size such as 500M",
        hint="correct it and run again",
    )
    assert str(error) == (
        "inventory/home.py: aibox.base.journald_max_use: not a size"
        " (found '12 parsecs', expected a size such as 500M) — correct it and run again"
    )


def test_what_is_not_known_is_left_out() -> None:
    assert str(Failed("the disk is full")) == "the disk is full"
    assert str(Failed("the disk is full", expected="2 GiB")) == "the disk is full (expected 2 GiB)"


def test_json_has_every_key() -> None:
    assert AnswerIsNo("does not fit", where="chat").to_json() == {
        "schema_version": 1,
        "error": {
            "message": "does not fit",
            "where": "chat",
            "found": None,
            "expected": None,
            "hint": None,
            "exit_code": 3,
        },
    }


@pytest.mark.parametrize(
    ("kind", "exit_code"), [(Failed, 1), (BadInput, 2), (AnswerIsNo, 3), (Interrupted, 130)]
)
def test_exit_codes_are_the_documented_ones(kind: type[LabctlError], exit_code: int) -> None:
    assert kind("x").exit_code == exit_code
