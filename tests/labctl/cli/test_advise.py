"""What `labctl advise` prints, as files: tests/cases/advise/answers/NAME holds a question and its answer.

`UPDATE_CASES=1 python -m pytest tests/labctl/cli/test_advise.py` writes the answers anew; read the diff.
"""

from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import Command
from tests.labctl.cli.test_fit_text import held_against

CASES = Path(__file__).parents[2] / "cases" / "advise"
ANSWERS = CASES / "answers"
NO = {"nothing-helps", "short-of-ram", "no-slot"}
SEVENTY, BUDGET = str(CASES / "seventy.yaml"), "workloads/rigs/budget-3060.yaml"
KEYS = {
    "schema_version", "fits", "unplaced", "currency", "budget", "additions", "with_power_supply", "over_budget",
    "closest", "short", "unchecked", "complete", "assumptions",
}  # fmt: skip


@pytest.fixture
def advise(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "advise")


@pytest.mark.parametrize("case", sorted(path.name for path in ANSWERS.iterdir()))
def test_text(case: str, advise: Command) -> None:
    said = advise(*(ANSWERS / case / "question.txt").read_text().split())
    assert said.err == ""
    held_against(ANSWERS / case / "answer.txt", said.out)
    assert said.code == (3 if case in NO else 0)
    assert all(len(line) <= 80 for line in said.out.splitlines())


def test_the_document_says_all_that_the_text_does(advise: Command) -> None:
    said = advise(SEVENTY, "--rig", BUDGET, "--json", "--price", "l40s=7000USD")
    assert said.code == 0
    document = said.document
    assert set(document) == KEYS
    assert (document["fits"], document["unplaced"], document["currency"]) == (False, ["chat"], "USD")
    (first, *_) = document["additions"]
    assert (first["gpu"], first["count"], first["cost"], first["replaces"]) == (
        "l40s",
        1,
        7000,
        ["precision/0"],
    )
    assert first["power_limits"] == {"precision/new-1": 225}
    assert first["power"]["ok"] is True
    assert first["price"] == {"amount": 7000, "used": None, "seen": None, "source": None}
    (pair, *_) = document["with_power_supply"]
    assert (pair["gpu"], pair["count"], pair["cost"], pair["psu_watts_needed"]) == ("rtx-3090", 2, 1800, 840)
    assert pair["price"]["used"] is True
    assert pair["price"]["source"].startswith("https://")
    assert pair["power"]["peak_watts"] == 1090
    assert pair["lanes"] == [16, 4]
    assert pair["tokens_per_second"]["chat"]["before"] is None
    assert pair["tokens_per_second"]["chat"]["after"] > 10
    assert document["unchecked"] == [{"host": "precision", "missing": []}]


def test_nothing_helps_in_the_document_too(advise: Command) -> None:
    said = advise(str(CASES / "405b.yaml"), "--rig", BUDGET, "--json")
    assert said.code == 3
    assert (said.document["additions"], said.document["with_power_supply"]) == ([], [])
    assert said.document["complete"] is True


def test_what_if_options_hold_here_too(advise: Command) -> None:
    said = advise(SEVENTY, "--rig", BUDGET, "--add", "rtx-3090:2", "--power-limit", "rtx-3090=250", "--json")
    assert said.document["assumptions"] == [
        "with 2 × RTX 3090 added", "with every RTX 3090 held to 250 W",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--budget", "much"), ("--budget", "not an amount of money", "800USD")),
        (("--price", "rtx-3090"), ("--price", "not a price", "GPU=AMOUNT")),
        (("--price", "rtx-309=5"), ("--price", "no GPU of that name", "did you mean rtx-3090")),
        (("--price", "rtx-3090=x"), ("--price", "not an amount of money")),
        (("--price", "rtx-3090=5EUR", "--budget", "9USD"), ("more than one currency", "EUR, USD")),
        (("--inventory", "inventory/home.py"), ("--inventory", "given twice")),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], words: tuple[str, ...], advise: Command) -> None:
    said = advise.refusal(SEVENTY, "--rig", BUDGET, *arguments)
    assert all(word in said for word in words), said
