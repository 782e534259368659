"""One exit code for a run over several hosts."""

from collections.abc import Iterable

from labctl.errors import ANSWER_IS_NO, BAD_INPUT, DONE, FAILED


def combined(codes: Iterable[int]) -> int:
    """One exit code for all hosts: could not, then not as it should be, then done."""
    seen = set(codes)
    broken = seen - {DONE, ANSWER_IS_NO}
    if broken:
        return BAD_INPUT if broken == {BAD_INPUT} else FAILED
    return ANSWER_IS_NO if ANSWER_IS_NO in seen else DONE
