"""The events of a run, gathered per host: what the summary and `--json` are made from. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar

from labctl.edges.events import (
    CheckFinished,
    Ended,
    Event,
    Explained,
    HostDone,
    HostEvent,
    HostFailed,
    HostPlanned,
    HostVerified,
    Mode,
    Note,
    OperationFinished,
    Pending,
    Refused,
    Started,
    Verified,
)
from labctl.errors import FAILED

HostStatus = Literal["ok", "changes pending", "failed", "unfinished"]
Kind = TypeVar("Kind", bound=HostEvent)


@dataclass(frozen=True, slots=True)
class HostReport:
    """Everything one host reported, in the order it did."""

    name: str
    events: tuple[HostEvent, ...] = ()

    def every(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """The events of one kind."""
        return tuple(event for event in self.events if isinstance(event, kind))

    def last(self, kind: type[Kind]) -> Kind | None:
        """The latest event of one kind."""
        return next((event for event in reversed(self.events) if isinstance(event, kind)), None)

    def operations(self, status: str) -> tuple[OperationFinished, ...]:
        """The operations that ended so: changed, unchanged or failed."""
        return tuple(operation for operation in self.every(OperationFinished) if operation.status == status)

    def checks(self, status: str) -> tuple[Verified, ...]:
        """The role checks that ended so: passed, failed or not run here."""
        return tuple(check for check in self.every(Verified) if check.status == status)

    def explained(self, check: Verified) -> Explained | None:
        """Why a check failed, where somebody knows."""
        return next(
            (each for each in self.every(Explained) if (each.role, each.name) == (check.role, check.name)),
            None,
        )

    @property
    def failed(self) -> tuple[OperationFinished | Verified, ...]:
        """What failed of either."""
        return (*self.operations("failed"), *self.checks("failed"))

    @property
    def operation_count(self) -> int:
        """How many operations the host was to be held against."""
        planned = self.last(HostPlanned)
        return planned.operations if planned else 0

    @property
    def end(self) -> HostDone | CheckFinished | HostVerified | None:
        """The host's closing event."""
        return self.last(HostDone) or self.last(CheckFinished) or self.last(HostVerified)

    @property
    def status(self) -> HostStatus:
        """`unfinished` is a host that neither came to its end nor failed: the run was cut short."""
        if self.last(HostFailed) or self.failed:
            return "failed"
        if not self.end:
            return "unfinished"
        return "changes pending" if self.last(Pending) else "ok"


@dataclass(frozen=True, slots=True)
class RunReport:
    """A whole run.

    notes: those that belong to no host. refused: why no host was touched. exit_code: as `labctl.errors` defines them.
    """

    mode: Mode
    hosts: Mapping[str, HostReport]
    notes: tuple[Note, ...]
    refused: Refused | None
    exit_code: int


def report_of(mode: Mode, events: Iterable[Event]) -> RunReport:
    """Gather a finished run. A run without an `Ended` was cut short and counts as failed."""
    per_host: defaultdict[str, list[HostEvent]] = defaultdict(list)
    notes: list[Note] = []
    refused: Refused | None = None
    exit_code = FAILED
    for event in events:
        match event:
            case Started():
                for host in event.hosts:
                    per_host[host] = []
            case Refused():
                refused = event
            case Ended():
                exit_code = event.exit_code
            case Note(host=""):
                notes.append(event)
            case _:
                per_host[event.host].append(event)
    hosts = {name: HostReport(name, tuple(reported)) for name, reported in per_host.items()}
    return RunReport(mode, hosts, tuple(notes), refused, exit_code)
