"""An explanation of a failed check: why, in words of someone at home, and what to do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from labctl.doctor.clues import Clues

_ATTRIBUTE = "labctl_explanations"
Check = TypeVar("Check", bound=Callable[..., None])
# Fixed words, or words made of what is known of the host.
Words = str | Callable[[Clues], str]


@dataclass(frozen=True)
class Explanation:
    """cause: a sentence. fix: what to do next, with the command to type in backticks where there is one.

    It fits where the check's message matches `says` (a regular expression) and `when` holds.
    """

    cause: Words
    fix: Words
    says: str = ""
    when: Callable[[Clues], bool] | None = None

    @property
    def always(self) -> bool:
        """Whether it fits whatever was found."""
        return not self.says and self.when is None

    def fits(self, clues: Clues) -> bool:
        """Whether this is why."""
        return bool(re.search(self.says, clues.message)) and (self.when is None or self.when(clues))


@dataclass(frozen=True)
class Explained:
    """Explanation for one failure."""

    cause: str
    fix: str


_UNANSWERED = Explained(
    "The check came to no answer: what it asks the host with failed, or did not end.",
    "Run the command named below on the host, as root: what does it say? `labctl deploy` repairs what a role brings.",
)


def explained(*explanations: Explanation) -> Callable[[Check], Check]:
    """Decorate a check. The first explanation that fits is given, so the last has to fit always."""

    def decorate(check: Check) -> Check:
        setattr(check, _ATTRIBUTE, explanations)
        return check

    return decorate


def explanations_of(check: object) -> tuple[Explanation, ...]:
    """What a check was decorated with; nothing for one that was not."""
    found: tuple[Explanation, ...] = getattr(check, _ATTRIBUTE, ())
    return found


def explain(explanations: Iterable[Explanation], clues: Clues) -> Explained | None:
    """The first that fits; None where nobody has written down why.

    A check that came to no answer is not explained by what holds of every bad one.
    """
    for each in explanations:
        if each.fits(clues) and not (each.always and clues.unanswered):
            return Explained(_words(each.cause, clues), _words(each.fix, clues))
    return _UNANSWERED if clues.unanswered else None


def _words(words: Words, clues: Clues) -> str:
    return words if isinstance(words, str) else words(clues)
