"""The checks of what is in force, on what a good host says and on wrong ones."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from labctl.apply.foreign import Listener
from labctl.edges import catalog
from labctl.edges.checks import NotRunHere
from labctl.errors import BadInput
from labctl.status.question import UnitNow
from roles.workloads import checks
from roles.workloads.in_force import Expected, Found, expected, found, script
from tests.labctl.plan.plans import FIRST, SECOND
from tests.labctl.status.services_in_force import AT, JOB, RUNS, STOPPED, home, now, seen

SERVICES = {service.name: service for service in catalog.services()}
WANTED = {each.name: each for each in expected(seen(home()), SERVICES)}
Change = Callable[[Found], Found]


def inspected(*cards: str, ports: tuple[tuple[int, int], ...] = (), **host: Any) -> dict[str, Any]:
    """What Podman says of a container. ports: of the container and of the host."""
    made = ["podman", "run", *(f"--device=nvidia.com/gpu={card}" for card in cards)]
    bindings = {f"{inner}/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(outer)}] for inner, outer in ports}
    return {
        "State": {"Health": {"Status": "healthy"}},
        "Config": {"CreateCommand": made},
        "HostConfig": {"PortBindings": bindings, "NetworkMode": "bridge", **host},
    }


CONTAINERS = {
    "labctl-chat": inspected(FIRST, ports=((8080, 20001),)),
    "labctl-images": {**inspected(SECOND), "State": {}},
    "labctl-files": inspected(ports=((80, 20002),)),
    "labctl-files-db": inspected(),
    "labctl-files-cache": inspected(),
    "labctl-files-cron": {**inspected(), "State": {}},
    "labctl-ui": inspected(ports=((8080, 20003),)),
}
GOOD = Found(
    now=now(home(), containers=CONTAINERS),
    listeners=(
        Listener("127.0.0.1", 20001, "tcp", "conmon", 7, "labctl-chat.service"),
        Listener("0.0.0.0", 22, "tcp", "sshd", 1, "ssh.service"),
    ),
    said={20001: None, 20002: None, 20003: None},
    cards={"labctl-chat": frozenset({FIRST}), "labctl-images": frozenset({SECOND}), "labctl-ui": None},
    volumes=frozenset(volume for each in WANTED.values() for volume in each.volumes),
    folders=frozenset(folder for each in WANTED.values() for folder in each.folders),
    answering=frozenset({FIRST, SECOND}),
)


class Request:
    """pytest's, as far as the check of what runs asks it."""

    def __init__(self, there: Found) -> None:
        self._there = there

    def getfixturevalue(self, _name: str) -> Found:
        return self._there


def run(check: Callable[..., None], workload: Expected, there: Found) -> None:
    if check is checks.test_runs:
        check(workload, Request(there))
    else:
        check(workload, there)


CHECKS = [checks.test_runs, checks.test_answers, checks.test_cards, checks.test_listens, checks.test_data]


@pytest.mark.parametrize("name", ["chat", "images", "files", "ui"])
@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None], name: str) -> None:
    run(check, WANTED[name], GOOD)


def units(**otherwise: UnitNow) -> Change:
    named = {key.replace("_", "-"): unit for key, unit in otherwise.items()}
    return lambda there: replace(there, now=now(home(), named, containers=CONTAINERS))


def container(name: str, about: Mapping[str, Any]) -> Change:
    return lambda there: replace(there, now=now(home(), containers={**CONTAINERS, name: about}))


def hears(address: str, port: int, unit: str) -> Change:
    heard = Listener(address, port, "tcp", "python3", 9, unit)
    return lambda there: replace(there, listeners=(*there.listeners, heard))


@pytest.mark.parametrize(
    ("check", "name", "change", "message"),
    [
        (checks.test_runs, "chat", units(chat=STOPPED), "it is stopped$"),
        (checks.test_runs, "chat", units(chat=UnitNow("not-found")), "it is not there: systemd: not-found"),
        (
            checks.test_runs,
            "files",
            units(files_db=replace(RUNS, active="failed", result="oom-kill")),
            "it is failed: files-db: oom-kill",
        ),
        (
            checks.test_runs,
            "chat",
            container("labctl-chat", {"State": {"Health": {"Status": "unhealthy"}}}),
            "it is unhealthy",
        ),
        (
            checks.test_runs,
            "images",
            lambda there: replace(
                units(images=UnitNow("loaded", "activating", "auto-restart", "exit-code", 4))(there),
                answering=frozenset({FIRST}),
            ),
            f"it is failed: {SECOND} does not answer$",
        ),
        (
            checks.test_runs,
            "images",
            units(images=UnitNow("loaded", "activating", "auto-restart", "exit-code", 4)),
            "it is failed: exit-code, tried again 4 times$",
        ),
        (
            checks.test_runs,
            "tune",
            lambda there: replace(
                there,
                now=replace(
                    there.now,
                    units={**there.now.units, "labctl-tune.timer": replace(RUNS, active="inactive")},
                ),
            ),
            "labctl-tune.timer is stopped: nothing starts it",
        ),
        (
            checks.test_answers,
            "chat",
            lambda there: replace(there, said={20001: "hello"}),
            "127.0.0.1:20001 says “hello”, expected: GET /v1/models says “llamacpp”",
        ),
        (checks.test_answers, "ui", lambda there: replace(there, said={}), "20003 says “nothing”"),
        (
            checks.test_cards,
            "chat",
            container("labctl-chat", inspected(FIRST, SECOND)),
            f"labctl-chat was given {FIRST}, {SECOND}, not {FIRST}$",
        ),
        (checks.test_cards, "ui", container("labctl-ui", inspected("all")), "was given all, not no card"),
        (
            checks.test_cards,
            "chat",
            lambda there: replace(there, cards={"labctl-chat": frozenset({FIRST, SECOND})}),
            f"labctl-chat sees {FIRST}, {SECOND}, not {FIRST}$",
        ),
        (
            checks.test_cards,
            "chat",
            lambda there: replace(there, cards={"labctl-chat": None}),
            "nvidia-smi answers nothing in it",
        ),
        (
            checks.test_listens,
            "chat",
            hears("0.0.0.0", 9999, "labctl-chat.service"),
            "it listens on 0.0.0.0:9999/tcp too",
        ),
        (
            checks.test_listens,
            "files",
            container("labctl-files-db", inspected(ports=((5432, 5432),))),
            "labctl-files-db publishes 127.0.0.1:5432/tcp, not nowhere",
        ),
        (
            checks.test_listens,
            "ui",
            container("labctl-ui", inspected(ports=((8080, 20003),), NetworkMode="host")),
            "labctl-ui is on the host's own network",
        ),
        (
            checks.test_listens,
            "ui",
            container("labctl-ui", inspected()),
            "publishes nowhere, not 127.0.0.1:20003",
        ),
        (
            checks.test_data,
            "images",
            lambda there: replace(there, volumes=there.volumes - {"images-data"}),
            "volume images-data is not there",
        ),
        (
            checks.test_data,
            "files",
            lambda there: replace(there, folders=frozenset()),
            "folder /srv/nextcloud/db, folder /srv/nextcloud/html are not there",
        ),
    ],
)
def test_a_wrong_one_is_found(check: Callable[..., None], name: str, change: Change, message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, WANTED[name], change(GOOD))


@pytest.mark.parametrize("check", [checks.test_answers, checks.test_cards, checks.test_listens])
def test_of_what_does_not_run_nothing_more_is_asked(check: Callable[..., None]) -> None:
    with pytest.raises(NotRunHere, match="chat does not run"):
        run(check, WANTED["chat"], units(chat=STOPPED)(GOOD))


def test_a_job_waits_and_what_it_displaces_steps_aside() -> None:
    run(checks.test_runs, WANTED["tune"], GOOD)
    at_work = replace(JOB, active="activating", sub="start")
    there = replace(units(chat=STOPPED, tune=at_work)(GOOD), aside={"chat": "tune"})
    run(checks.test_runs, WANTED["tune"], there)
    with pytest.raises(NotRunHere, match="it stepped aside for tune"):
        run(checks.test_runs, WANTED["chat"], there)


def test_a_plan_that_cannot_be_read_is_one_failed_check() -> None:
    with pytest.raises(BadInput, match="no plan"):
        checks.test_runs(BadInput("this is no plan"), Request(GOOD))  # type: ignore[arg-type]  # pytest's own is final


ANSWER = f"""
@@labctl now
{AT}

@@labctl unit-states
Id=labctl-chat.service
LoadState=loaded
ActiveState=inactive

Id=labctl-tune.service
LoadState=loaded
ActiveState=activating
Type=oneshot

@@labctl inspected
[{{"Name": "labctl-chat", "Config": {{"CreateCommand": ["podman", "--device", "nvidia.com/gpu={FIRST}"]}}}}]

@@labctl answers
20001 yes
20002 no <html>it is down</html>

@@labctl cards
labctl-chat {FIRST} {SECOND}
labctl-ui not found
labctl-images No devices

@@labctl volumes
images-data

@@labctl folders
/srv/nextcloud/html

@@labctl answered

@@labctl checked
"""


def test_what_a_host_prints_is_read() -> None:
    wanted = (WANTED["chat"], WANTED["tune"])
    asked = script(seen(home()), tuple(WANTED.values()))
    for piece in (
        "http://127.0.0.1:20001/v1/models",
        "*llamacpp*",
        "podman volume exists images-data",
        "nvidia-smi -L",
    ):
        assert piece in asked
    there = found(seen(home()), wanted, ANSWER)
    assert there.said == {20001: None, 20002: "<html>it is down</html>"}
    assert there.cards == {
        "labctl-chat": frozenset({FIRST, SECOND}), "labctl-ui": None, "labctl-images": frozenset(),
    }  # fmt: skip
    assert (there.given("labctl-chat"), there.given("labctl-ui")) == (frozenset({FIRST}), frozenset())
    assert (there.volumes, there.folders) == (frozenset({"images-data"}), frozenset({"/srv/nextcloud/html"}))
    assert there.aside == {"chat": "tune"}


def test_a_host_with_nothing_in_force_has_nothing_to_check() -> None:
    assert expected(replace(seen(home()), generation=None), SERVICES) == ()


def test_what_is_expected_of_each() -> None:
    chat, files = WANTED["chat"], WANTED["files"]
    assert {port: answer.path for port, answer in chat.answers.items() if answer} == {20001: "/v1/models"}
    assert "/srv/models" in chat.folders
    assert files.units[0].container == "labctl-files"
    assert len(files.units) == 4
    assert WANTED["images"].volumes == ("images-data",)
    assert WANTED["tune"].timer == "labctl-tune.timer"
