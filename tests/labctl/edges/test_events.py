import typing

import pytest

from labctl.edges import events
from labctl.errors import Failed

ONE_OF_EACH: list[events.Event] = [
    events.Started("deploy", ("aibox", "nas")),
    events.Refused("not a size", "inventory/home.py: aibox", "'12 parsecs'", "a size", "correct it"),
    events.HostConnected("aibox"),
    events.HostFailed("aibox", "connect", "Permission denied", "put your key there", 1),
    events.HostPlanned("aibox", ("base", "podman"), 31),
    events.OperationStarted("aibox", "base", "base: packages"),
    events.OperationFinished(
        "aibox", "base", "base: packages", "failed", "not installed: chrony", ("E: no", "100")
    ),
    events.Pending("aibox", "base", "base: packages", "possible", "new host", "not installed: chrony"),
    events.CheckFinished("aibox", 31, 1, 2),
    events.Verified(
        "aibox", "base", "time is synchronised", "not run here", "a container cannot set the clock"
    ),
    events.Note("aibox", "base", "umlaut: ü\nnew line"),
    events.Explained("aibox", "base", "time is synchronised", "no server was reached.", "`timedatectl`"),
    events.HostVerified("aibox", 12, 1, 1, 9),
    events.Question("aibox", "firewall", "can you still log in? [yes]"),
    events.HostDone("aibox", 3, 28, 0, 5),
    events.HostAnswered("aibox", "@@labctl name\naibox\n"),
    events.Ended(3),
]


def test_there_is_a_case_for_every_event() -> None:
    assert {type(event) for event in ONE_OF_EACH} == set(typing.get_args(events.Event))


@pytest.mark.parametrize("event", ONE_OF_EACH, ids=lambda event: event.event)
def test_one_line_and_back(event: events.Event) -> None:
    line = events.to_json(event)
    assert "\n" not in line
    assert events.parse(line) == event


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        '{"event": "ended", "exit_co',
        '{"event": "never heard of"}',
        '{"event": "ended"}',
        '{"event": "ended", "exit_code": 0, "more": 1}',
        '{"exit_code": 0}',
        "[]",
        "3",
    ],
)
def test_anything_else_is_refused(line: str) -> None:
    with pytest.raises(Failed, match="no event"):
        events.parse(line)
