"""A pull against a simulated hub: whatever the server does, what has its name is whole."""

import dataclasses

import pytest

from labctl.errors import FAILED
from labctl.model_store.progress import STATUS
from labctl.model_store.request import WantedFile
from tests.labctl.edges.hub_server import COMMIT, REPOSITORY, TOKEN, Hub
from tests.labctl.model_store.pulling import (
    CONTENT,
    Puller,
    begun,
    file,
    message,
    model,
)


@pytest.mark.parametrize("manner", ["cuts", "hangs up"])
def test_a_cut_connection_is_gone_on_with(hub: Hub, pull: Puller, manner: str) -> None:
    hub.manner, hub.cuts = manner, 3  # type: ignore[assignment]  # one of its manners
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT
    assert len(pull.waited) == 3
    if manner == "cuts":
        assert [asked for _, asked in hub.requests] == [
            None,
            "bytes=524288-",
            "bytes=786432-",
            "bytes=917504-",
        ]


def test_a_server_that_never_sends_all_leaves_what_came_for_the_next_pull(hub: Hub, pull: Puller) -> None:
    hub.manner = "hangs up"
    part = pull.leave(hub, CONTENT[:1000])
    [result] = pull(model(file(hub)))
    assert (result.outcome, result.exit_code, message(result)) == (
        "failed",
        FAILED,
        "the connection breaks again and again",
    )
    assert (part.stat().st_size, pull.content()) == (1000, None)
    hub.manner = "ranges"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert hub.requests[-1][1] == "bytes=1000-"


def test_a_server_without_ranges_gets_further_each_time(hub: Hub, pull: Puller) -> None:
    pull.leave(hub, CONTENT[:700_000])
    hub.manner = "ignores ranges"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT


def test_a_server_that_sends_another_part_is_asked_for_all(hub: Hub, pull: Puller) -> None:
    pull.leave(hub, CONTENT[:700_000])
    hub.manner = "wrong range"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert hub.requests[-1][1] is None


def test_a_part_that_a_power_cut_damaged_is_fetched_once_more(hub: Hub, pull: Puller) -> None:
    pull.leave(hub, bytes(700_000))
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.content() == CONTENT
    assert any(line.startswith("again:") for line in pull.lines)


def test_of_a_size_that_nobody_says_all_is_taken_and_resumed(hub: Hub, pull: Puller) -> None:
    hub.manner = "keeps quiet"
    assert pull(model(file(hub, sized=False)))[0].bytes == len(CONTENT)
    part = pull.store.staging("b.gguf") / "b.gguf.part"
    wanted = model(file(hub, to="b.gguf", sized=False), place="b.gguf")
    pull.store.keep(dataclasses.replace(begun(hub), place="b.gguf", files=wanted.files))
    part.parent.mkdir()
    part.write_bytes(CONTENT)  # cut off after the last byte: the server has nothing more to send
    assert pull(wanted)[0].outcome == "pulled"
    assert pull.content("b.gguf") == CONTENT


@pytest.mark.parametrize(("status", "waits"), [(429, [7.0, 7.0]), (503, [7.0, 7.0])])
def test_a_busy_server_is_waited_for_as_long_as_it_says(
    hub: Hub, pull: Puller, status: int, waits: list[float]
) -> None:
    hub.busy, hub.busy_status, hub.retry_after = 2, status, "7"
    assert pull(model(file(hub)))[0].outcome == "pulled"
    assert pull.waited == waits


def test_nobody_waits_for_an_hour(hub: Hub, pull: Puller) -> None:
    hub.busy, hub.retry_after = 99, "3600"
    [result] = pull(model(file(hub)))
    assert (result.outcome, pull.waited) == ("failed", [])
    assert result.answer == {"status": 429, "headers": {"Retry-After": "3600"}}


def test_a_server_that_is_not_there_is_tried_some_times(pull: Puller) -> None:
    gone = WantedFile("m.gguf", 1, "0" * 64, url="http://127.0.0.1:9/m.gguf")
    [result] = pull(model(gone))
    assert message(result) == "the server cannot be reached"
    assert pull.waited == [1, 2, 4, 8, 16]


def test_a_gated_file_wants_the_token_and_only_its_own_server_gets_it(hub: Hub, pull: Puller) -> None:
    hub.manner, hub.redirected = "gated", True
    wanted = dataclasses.replace(file(hub), url=f"{hub.url}/{REPOSITORY}/resolve/{COMMIT}/m.gguf")
    [result] = pull(model(wanted))
    assert result.answer == {"status": 401, "headers": {"X-Error-Code": "GatedRepo"}}
    [result] = pull(model(wanted), token=TOKEN, token_for="http://127.0.0.1:9")
    assert result.outcome == "failed"
    [result] = pull(model(wanted), token=TOKEN, token_for=hub.url)
    assert (result.outcome, hub.tokens_elsewhere) == ("pulled", [])
    kept = "".join(path.read_text() for path in pull.folder.rglob("*.json"))
    assert TOKEN not in kept + "".join(pull.lines) + (pull.told / STATUS).read_text()
