"""The moving lines on a terminal. The only module that imports rich, and it is imported only for a terminal."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from labctl.cli.summary import qualified
from labctl.edges.events import (
    CheckFinished,
    Event,
    HostConnected,
    HostDone,
    HostFailed,
    HostPlanned,
    HostVerified,
    OperationStarted,
    Question,
    Started,
    Verified,
)


class Bars:
    """One line per host: spinner, host, how far, what it does now, time. Gone when the run is over."""

    def __init__(self, console: Console | None = None) -> None:
        # Host and operation names are not markup, whatever brackets they hold.
        self._progress = Progress(
            SpinnerColumn(finished_text=" "),
            TextColumn("{task.fields[host]}", markup=False),
            TextColumn("{task.fields[count]}", markup=False),
            TextColumn(
                "{task.description}",
                markup=False,
                table_column=Column(overflow="ellipsis", no_wrap=True, ratio=1),
            ),
            TimeElapsedColumn(),
            console=console or Console(stderr=True),
            transient=True,
            expand=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._total: dict[str, int] = {}
        self._reached: dict[str, int] = {}

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def show(self, event: Event) -> None:
        """Move the line of the event's host."""
        self._progress.start()  # it stood still if the last event was a question
        match event:
            case Started():
                for host in event.hosts:
                    self._tasks[host] = self._progress.add_task("connecting", total=None, host=host, count="")
            case HostConnected():
                self._say(event.host, "looking")
            case HostPlanned():
                self._total[event.host] = event.operations
            case OperationStarted():
                self._reached[event.host] = self._reached.get(event.host, 0) + 1
                self._say(event.host, qualified(event.role, event.name))
            case Verified():
                self._say(event.host, qualified(event.role, event.name))
            case HostFailed():
                self._finish(event.host, "FAILED")
            case Question():
                self._progress.stop()
                self._progress.console.print(
                    f"{event.host}: {event.message}", markup=False, highlight=False, end=" "
                )
            case HostDone() | CheckFinished() | HostVerified():
                self._finish(event.host, "done")
            case _:
                pass

    def refresh(self) -> None:
        """Draw now instead of at the next tick."""
        self._progress.refresh()

    def _say(self, host: str, text: str) -> None:
        total = self._total.get(host)
        count = f"{self._reached[host]}/{total}" if total and host in self._reached else ""
        self._progress.update(self._tasks[host], description=text, count=count)

    def _finish(self, host: str, text: str) -> None:
        self._say(host, text)
        self._progress.update(self._tasks[host], total=1, completed=1)
