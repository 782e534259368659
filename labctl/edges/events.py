"""What a run reports while it goes on: a JSON object per line, a frozen value per object.

The driver process writes the lines, `labctl.cli` renders the values. A run is `Started`, then per host
`HostConnected`, `HostPlanned` and, for a deploy or update, its operations and `HostDone`; for a check, what is
`Pending` and `CheckFinished`; for verify, what was `Verified` and `HostVerified`, for doctor also what is `Explained`;
for a read, `HostAnswered`. A host that drops out has `HostFailed`. The last event is `Ended`.
Bad input is found before anything else: `Refused`, then `Ended`.
"""

import dataclasses
import json
from collections.abc import Callable
from typing import ClassVar, Literal

from labctl.errors import BadInput, Failed

Mode = Literal["deploy", "check", "verify", "doctor", "read", "update"]
Stage = Literal["connect", "prepare", "execute"]
Status = Literal["changed", "unchanged", "failed"]
Verdict = Literal["passed", "failed", "not run here"]
Certainty = Literal["certain", "possible"]
Cause = Literal["drift", "news", "new host"]


@dataclasses.dataclass(frozen=True, slots=True)
class Started:
    """The inventory was read; hosts are those that --limit left."""

    event: ClassVar[str] = "started"
    mode: Mode
    hosts: tuple[str, ...]


@dataclasses.dataclass(frozen=True, slots=True)
class Refused:
    """The input cannot be meant as it stands; no host was touched."""

    event: ClassVar[str] = "refused"
    message: str
    where: str | None = None
    found: str | None = None
    expected: str | None = None
    hint: str | None = None

    def error(self) -> BadInput:
        """The same as an error, for whoever started the run."""
        return BadInput(
            self.message, where=self.where, found=self.found, expected=self.expected, hint=self.hint
        )


@dataclasses.dataclass(frozen=True, slots=True)
class HostConnected:
    """A connection stands."""

    event: ClassVar[str] = "host_connected"
    host: str


@dataclasses.dataclass(frozen=True, slots=True)
class HostFailed:
    """Nothing more happens on this host. exit_code: 1 it failed, 2 it cannot be deployed to as described."""

    event: ClassVar[str] = "host_failed"
    host: str
    stage: Stage
    message: str
    hint: str | None = None
    exit_code: int = 1


@dataclasses.dataclass(frozen=True, slots=True)
class HostPlanned:
    """What this host will be held against. operations: how many, over all roles."""

    event: ClassVar[str] = "host_planned"
    host: str
    roles: tuple[str, ...]
    operations: int


@dataclasses.dataclass(frozen=True, slots=True)
class OperationStarted:
    """An operation compares, and changes what differs."""

    event: ClassVar[str] = "operation_started"
    host: str
    role: str
    name: str


@dataclasses.dataclass(frozen=True, slots=True)
class OperationFinished:
    """reason: what differed, where something did. output: the last lines it printed, on failure."""

    event: ClassVar[str] = "operation_finished"
    host: str
    role: str
    name: str
    status: Status
    reason: str | None = None
    output: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Pending:
    """check only: an operation that a deploy would run.

    certainty: `possible` when it depends on what an earlier pending operation finds.
    cause: `drift`, someone changed the host; `news`, the repository or inventory changed; `new host`, no
    deploy was here yet.
    """

    event: ClassVar[str] = "pending"
    host: str
    role: str
    name: str
    certainty: Certainty
    cause: Cause
    reason: str


@dataclasses.dataclass(frozen=True, slots=True)
class CheckFinished:
    """check only: the host was compared to the end. operations: how many there are; pending: how many differ."""

    event: ClassVar[str] = "check_finished"
    host: str
    operations: int
    pending: int
    remote_commands: int


@dataclasses.dataclass(frozen=True, slots=True)
class Verified:
    """verify and doctor: one test of one role. `not run here`: it could not mean anything on this kind of host."""

    event: ClassVar[str] = "verified"
    host: str
    role: str
    name: str
    status: Verdict
    reason: str | None = None
    output: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Explained:
    """doctor only: why a check failed, and what to do."""

    event: ClassVar[str] = "explained"
    host: str
    role: str
    name: str
    cause: str
    fix: str


@dataclasses.dataclass(frozen=True, slots=True)
class HostVerified:
    """verify and doctor: every check of the host has ended."""

    event: ClassVar[str] = "host_verified"
    host: str
    passed: int
    failed: int
    not_run_here: int
    remote_commands: int


@dataclasses.dataclass(frozen=True, slots=True)
class Note:
    """Something a person should know that is neither a change nor a failure."""

    event: ClassVar[str] = "note"
    host: str
    role: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """The driver waits for a line on standard input. Whoever renders shows the text, and draws nothing meanwhile.

    The driver must not print the text itself: a moving line would be drawn over it.
    """

    event: ClassVar[str] = "question"
    host: str
    role: str
    message: str


@dataclasses.dataclass(frozen=True, slots=True)
class HostDone:
    """deploy and update only: the host's counts; operations not reached because one failed are in none of them."""

    event: ClassVar[str] = "host_done"
    host: str
    changed: int
    unchanged: int
    failed: int
    remote_commands: int


@dataclasses.dataclass(frozen=True, slots=True)
class HostAnswered:
    """read only: what the host printed."""

    event: ClassVar[str] = "host_answered"
    host: str
    output: str


@dataclasses.dataclass(frozen=True, slots=True)
class Ended:
    """Always the last event. exit_code: as `labctl.errors` defines them."""

    event: ClassVar[str] = "ended"
    exit_code: int


HostEvent = (
    HostConnected
    | HostFailed
    | HostPlanned
    | OperationStarted
    | OperationFinished
    | Pending
    | CheckFinished
    | Verified
    | Explained
    | HostVerified
    | Note
    | Question
    | HostDone
    | HostAnswered
)
Event = Started | Refused | Ended | HostEvent

_EVENTS: dict[str, Callable[..., Event]] = {kind.event: kind for kind in Event.__args__}


def to_json(event: Event) -> str:
    """The event as one line of JSON, without the line's end."""
    return json.dumps({"event": event.event, **dataclasses.asdict(event)})


def parse(line: str) -> Event:
    """The event in one line of JSON; raises Failed for anything else, since both ends are ours."""
    try:
        fields: dict[str, object] = json.loads(line)
        kind = _EVENTS[str(fields.pop("event"))]
        return kind(
            **{key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Failed(
            "the deploy driver wrote a line that is no event",
            found=repr(line[:200]),
            hint="this is a bug in labctl, or the driver was killed in mid-line; run it again",
        ) from error
