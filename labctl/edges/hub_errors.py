"""What a hub's refusals mean, and how to go on."""

from collections.abc import Mapping
from dataclasses import dataclass

from labctl.errors import BadInput, Failed, LabctlError

GO_ON = "download the file and give its path, or name a model of the catalogue"
# Nobody waits longer than this for an estimate.
MOST_WAITED_SECONDS = 20.0
_PASSING = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class Answer:
    """What came back, without its body. headers: in any case."""

    status: int
    headers: Mapping[str, str]

    @property
    def code(self) -> str:
        """The hub's own word for what is wrong, as GatedRepo."""
        return self.headers.get("X-Error-Code", "")

    @property
    def retry_after_seconds(self) -> float | None:
        """How long the server asks to wait; None where it does not say, or says it as a date."""
        value = self.headers.get("Retry-After", "").strip()
        return float(value) if value.isdecimal() and len(value) < 7 else None


def is_passing(answer: Answer) -> bool:
    """Whether the same may work in a moment."""
    return answer.status in _PASSING


def seconds_to_wait(answer: Answer | None, attempt: int, explained: LabctlError) -> float:
    """Before the next attempt. Raises `explained` where the server asks for more patience than anyone has."""
    asked = answer.retry_after_seconds if answer else None
    if asked is not None and asked > MOST_WAITED_SECONDS:
        raise explained
    return asked if asked is not None else float(attempt)


def refusal(answer: Answer, name: str, endpoint: str) -> LabctlError:
    """An answer that is no yes, as an error. name: the repository, or a file in it."""
    repository = "/".join(name.split("/")[:2])
    if answer.code == "GatedRepo":
        return BadInput(
            "this repository is gated",
            where=name,
            found=f"HTTP {answer.status}",
            expected="a token of someone who accepted its terms",
            hint=f"accept them at {endpoint}/{repository}, then set HF_TOKEN or run `hf auth login`",
        )
    if answer.status == 401 and "credentials" in answer.headers.get("X-Error-Message", "").lower():
        return BadInput(
            "the hub does not know this token",
            where=name,
            found=f"HTTP {answer.status} of {endpoint}",
            hint="renew HF_TOKEN, or run `hf auth login`; public repositories need none",
        )
    if answer.code == "RevisionNotFound":
        return BadInput(
            "this repository has no such revision", where=name, hint="leave it out, or name another"
        )
    if answer.code == "EntryNotFound":
        return BadInput("the repository has no such file", where=name, hint="name another")
    if answer.status in (401, 403, 404):
        return BadInput(
            "there is no such repository, or it is private",
            where=name,
            found=f"HTTP {answer.status} of {endpoint}",
            expected="org/name of a repository",
            hint="is the name right? For a private one set HF_TOKEN or run `hf auth login`",
        )
    if answer.status == 429:
        seconds = answer.retry_after_seconds
        return Failed(
            "the hub wants fewer requests",
            where=name,
            found=f"HTTP {answer.status} of {endpoint}",
            hint=f"try again {f'in {seconds:.0f} s' if seconds else 'later'}, set HF_TOKEN, or {GO_ON}",
        )
    return Failed(
        "the hub does not answer as it should",
        where=name,
        found=f"HTTP {answer.status} of {endpoint}",
        hint=f"try again, or {GO_ON}",
    )


def unreachable(error: Exception, name: str, endpoint: str) -> Failed:
    """No answer came at all."""
    if type(error).__name__ == "OfflineModeIsEnabled":
        return Failed(
            "the hub is not asked while HF_HUB_OFFLINE is set", where=name, hint=f"unset it, or {GO_ON}"
        )
    return Failed(
        "the hub cannot be reached",
        where=name,
        found=f"{endpoint}: {str(error) or type(error).__name__}"[:200],
        hint=f"is this machine online? Otherwise {GO_ON}",
    )
