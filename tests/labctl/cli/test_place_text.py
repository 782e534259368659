"""What a person reads, as files: tests/cases/place_text/NAME holds a question, and the answer in three forms.

answer.txt: 80 columns; narrow.txt: 44 columns, ASCII; page.html: what stands on the page, without its looks.
`UPDATE_CASES=1 python -m pytest tests/labctl/cli/test_place_text.py` writes the answers anew; read the diff.
"""

import os
import re
from functools import cache
from pathlib import Path

import pytest

from labctl.cli.place_page import place_page
from labctl.cli.place_text import place_text
from labctl.cli.terminal import Terminal
from labctl.edges.rigs import read_rig
from labctl.edges.wishes import wishes
from labctl.edges.workloads_file import read_workloads
from labctl.place.placement import Placement, Question, place
from labctl.place.suggestion import Suggestion

CASES = Path(__file__).parents[2] / "cases" / "place_text"
COLUMNS, NARROW = 80, 44
ANSI = re.compile(r"\x1b\[[0-9;]*m")
cases = pytest.mark.parametrize("case", sorted(path.name for path in CASES.iterdir()))


@cache
def placed(case: str) -> Placement:
    workloads, _, rig = (CASES / case / "question.txt").read_text().split()
    return place(Question(wishes(read_workloads(workloads), workloads), read_rig(rig), where=workloads))


def held_against(path: Path, found: str) -> None:
    if os.environ.get("UPDATE_CASES") == "1":
        path.write_text(found)
    assert found == path.read_text()


@cases
def test_text(case: str) -> None:
    held_against(CASES / case / "answer.txt", place_text(placed(case)))


@cases
def test_narrow_and_in_ascii(case: str) -> None:
    text = place_text(placed(case), Terminal(columns=NARROW, ascii_only=True))
    held_against(CASES / case / "narrow.txt", text)
    assert text.isascii()


@cases
def test_page(case: str) -> None:
    """A line for each element: a diff then shows what changed, whatever the template's own lines are."""
    (main,) = re.findall(r"<main>(.*)</main>", place_page(placed(case)), flags=re.DOTALL)
    elements = re.sub(r"\s*(<[^/][^>]*>)\s*", r"\n\1", re.sub(r"\s+", " ", main))
    lines = [line.strip() for line in elements.splitlines() if line.strip()]
    held_against(CASES / case / "page.html", "\n".join(lines) + "\n")


@cases
@pytest.mark.parametrize(("name", "columns"), [("answer.txt", COLUMNS), ("narrow.txt", NARROW)])
def test_lines_fit_and_are_plain(case: str, name: str, columns: int) -> None:
    text = (CASES / case / name).read_text()
    # What cannot be broken is a name or a path.
    assert [line for line in text.splitlines() if len(line) > columns and " " in line.strip()] == []
    assert "\x1b" not in text
    assert not re.search(r"[ \t]$", text, re.MULTILINE)
    assert text.endswith("\n")
    assert "\n\n\n" not in text


@cases
def test_the_verdict_comes_first_and_refusals_last(case: str) -> None:
    text = (CASES / case / "answer.txt").read_text()
    placement = placed(case)
    assert text.startswith("No: " if placement.refused else "Yes: ")
    order = [text.index(f"\n{host.name}") for host in placement.question.rig.hosts]
    order.append(text.index("\nPower of "))
    order += [text.index(f"\n{each.workload} has no place") for each in placement.refused]
    assert order == sorted(order)


@cases
def test_colour_changes_no_word(case: str) -> None:
    coloured = place_text(placed(case), Terminal(colour=True))
    assert "\x1b" in coloured
    assert ANSI.sub("", coloured) == place_text(placed(case))


@cases
def test_every_workload_is_named(case: str) -> None:
    for text in (place_text(placed(case)), place_page(placed(case))):
        for wish in placed(case).question.wishes:
            assert wish.workload.name in text


SUGGESTED = Suggestion(
    workload="images",
    change="write `dtype: fp8`",
    writes=("dtype: fp8",),
    kinds=("quant",),
    saves_mib=4096,
    host="optiplex",
    cards=("optiplex/1",),
    tokens_per_second=None,
    worse=(),
)


def test_what_would_help_stands_below_its_refusal() -> None:
    found = {"images": (SUGGESTED,)}
    text, page = place_text(placed("home-no"), found=found), place_page(placed("home-no"), found=found)
    help_at = text.index("  This would give it a place:\n  - write `dtype: fp8`, saves 4096 MiB.")
    assert text.index("images has no place") < help_at < text.index("listen has no place")
    assert "<p>This would give it a place:</p>" in page
    assert "<li>write `dtype: fp8`, saves 4096 MiB. Then on optiplex/1.</li>" in page


def test_what_changes_is_on_the_page() -> None:
    page = place_page(placed("home-yes"), changes=("Against plan.json, 1 change:", "chat moves <so>"))
    assert "<p>Against plan.json, 1 change:</p>" in page
    assert "<li>chat moves &lt;so&gt;</li>" in page
