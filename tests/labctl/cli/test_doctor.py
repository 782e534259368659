"""What `labctl doctor` prints, as files: tests/cases/doctor/NAME holds a run's events, the text and the document."""

import json
from pathlib import Path

import pytest

from labctl.cli.doctor_document import doctor_document
from labctl.cli.doctor_text import doctor_text
from labctl.cli.report import RunReport, report_of
from labctl.edges.events import parse

CASES = Path(__file__).parents[2] / "cases" / "doctor"
PHONE_COLUMNS, COLUMNS = 40, 80

cases = pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))


def report(case: str) -> RunReport:
    return report_of("doctor", map(parse, (CASES / case / "events.jsonl").read_text().splitlines()))


def text(case: str, width: int = COLUMNS, *, all_of_it: bool = False) -> str:
    return doctor_text(report(case), inventory="inventory/home.py", width=width, all_of_it=all_of_it)


@cases
def test_text(case: str) -> None:
    assert text(case) == (CASES / case / "text.txt").read_text()


@cases
def test_document(case: str) -> None:
    assert doctor_document(report(case)) == json.loads((CASES / case / "document.json").read_text())


@cases
def test_it_fits_a_phone_but_for_what_cannot_be_broken(case: str) -> None:
    wide = [line for line in text(case, PHONE_COLUMNS).splitlines() if len(line) > PHONE_COLUMNS]
    assert [line for line in wide if " " in line.strip()] == []


@cases
def test_a_command_to_copy_stands_on_one_line_where_there_is_room(case: str) -> None:
    for line in text(case).splitlines():
        assert line.count("`") % 2 == 0 or "nvidia-smi --query-gpu" in line or "failed with" in line, line


def test_all_well_is_one_line_and_more_when_asked() -> None:
    assert text("all-well").count("\n") == 1
    assert "no NVIDIA card: 2 of cuda" in text("all-well", all_of_it=True)


def test_the_next_step_names_the_inventory() -> None:
    said = doctor_text(report("not-reached"), inventory="my home.py", width=COLUMNS)
    assert said.splitlines()[-1] == "Then look again: labctl doctor 'my home.py'"
