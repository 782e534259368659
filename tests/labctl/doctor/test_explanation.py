"""The first explanation that fits is given, and a check that came to no answer is never explained by a bad one."""

import pytest

from labctl.doctor.clues import Clues
from labctl.doctor.explanation import Explanation, explain, explained, explanations_of

OPEN = Explanation("It is open.", "Close it.", says="open")
ON_A_HOST_WITHOUT_CARDS = Explanation("No card.", "Buy one.", when=lambda clues: clues.driver is None)
ALWAYS = Explanation(lambda clues: f"It says {clues.message}.", "Look.")


@pytest.mark.parametrize(
    ("explanations", "message", "cause"),
    [
        ((OPEN, ALWAYS), "the door is open", "It is open."),
        ((OPEN, ALWAYS), "the door is shut", "It says the door is shut."),
        ((OPEN, ON_A_HOST_WITHOUT_CARDS, ALWAYS), "shut", "No card."),
        ((OPEN,), "shut", None),
        ((), "open", None),
    ],
)
def test_the_first_that_fits(explanations: tuple[Explanation, ...], message: str, cause: str | None) -> None:
    found = explain(explanations, Clues(message))
    assert (found.cause if found else None) == cause


@pytest.mark.parametrize(
    "message",
    [
        "`sysctl -n x` failed with exit status 127: sysctl: not found",
        "aibox: no answer within 120 s (found podman info)",
        "KeyError: 'store'",
    ],
)
def test_a_check_without_an_answer_is_said_to_be_one(message: str) -> None:
    found = explain((OPEN, ALWAYS), Clues(message))
    assert found
    assert "no answer" in found.cause
    known = explain(
        (Explanation("It is not there.", "Get it.", says="not found|Key|podman"), ALWAYS), Clues(message)
    )
    assert known
    assert known.cause == "It is not there."


def test_a_check_carries_what_it_was_decorated_with() -> None:
    @explained(OPEN, ALWAYS)
    def test_door() -> None:
        """the door"""

    assert explanations_of(test_door) == (OPEN, ALWAYS)
    assert explanations_of(test_the_first_that_fits) == ()
    assert explanations_of(None) == ()
