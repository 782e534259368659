"""Which workloads a name means, what stands against starting them, and what else a person should know."""

import pytest

from labctl.errors import AnswerIsNo, BadInput, Failed
from labctl.status.choice import Verb, chosen, notes, refuse_displaced
from tests.labctl.status.services_in_force import home

KNOWN = {"aibox": ("chat", "images", "ui"), "second": ("chat", "files")}
ALL = home().workloads


def test_names_by_host_in_the_order_asked() -> None:
    assert chosen(("ui", "chat", "ui"), KNOWN, {}) == {"aibox": ("ui", "chat"), "second": ("chat",)}


@pytest.mark.parametrize(
    ("name", "expected"), [("chta", "chat"), ("image", "images"), ("zzz", "chat, files, images, ui")]
)
def test_an_unknown_name_is_told_near_ones(name: str, expected: str) -> None:
    with pytest.raises(BadInput) as raised:
        chosen((name,), KNOWN, {})
    assert (raised.value.found, raised.value.expected) == (name, expected)


def test_where_a_host_is_silent_a_name_may_be_its() -> None:
    with pytest.raises(Failed, match="no host that answers runs tune"):
        chosen(("tune",), KNOWN, {"third": "no SSH connection"})
    assert chosen(("ui",), KNOWN, {"third": "no SSH connection"}) == {"aibox": ("ui",)}


@pytest.mark.parametrize(
    ("verb", "names", "running", "refused"),
    [
        ("start", ("chat",), {"tune"}, "chat stepped aside for tune, which runs"),
        ("restart", ("chat",), {"tune"}, "chat stepped aside for tune, which runs"),
        ("start", ("chat", "tune"), {"chat"}, "only one of them can run"),
        ("start", ("chat",), set(), None),
        ("start", ("tune",), {"chat"}, None),
        ("stop", ("chat", "tune"), {"tune"}, None),
        ("start", ("ui",), {"tune"}, None),
    ],
)
def test_starting_what_stepped_aside(
    verb: Verb, names: tuple[str, ...], running: set[str], refused: str | None
) -> None:
    if refused is None:
        refuse_displaced(verb, names, ALL, running)
        return
    with pytest.raises(AnswerIsNo, match=refused):
        refuse_displaced(verb, names, ALL, running)


@pytest.mark.parametrize(
    ("verb", "name", "running", "names", "said"),
    [
        (
            "stop",
            "chat",
            {"chat", "ui"},
            ("chat",),
            [
                "ui uses chat and cannot reach it until it runs again",
                "chat stays stopped until `labctl start chat`, the next apply or boot",
            ],
        ),
        (
            "stop",
            "chat",
            {"chat"},
            ("chat",),
            ["chat stays stopped until `labctl start chat`, the next apply or boot"],
        ),
        ("restart", "chat", {"chat", "ui"}, ("chat", "ui"), []),
        (
            "restart",
            "chat",
            {"chat", "ui"},
            ("chat",),
            ["ui uses chat and cannot reach it until it runs again"],
        ),
        ("start", "tune", {"chat"}, ("tune",), ["chat steps aside while tune runs, and comes back"]),
        ("start", "tune", {"tune"}, ("tune",), []),
        ("stop", "tune", {"tune"}, ("tune",), ["chat comes back", "tune starts again at 23:30, its time"]),
        ("start", "chat", set(), ("chat",), []),
    ],
)
def test_what_else_is_said(
    verb: Verb, name: str, running: set[str], names: tuple[str, ...], said: list[str]
) -> None:
    assert list(notes(verb, name, ALL, running, names)) == said
