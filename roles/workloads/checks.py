"""Does what was put in place run, answer, keep to its cards and ports, and have its data? Of the generation in force.

One check per workload; a host on which nothing was put in place has none.
"""

from __future__ import annotations

from functools import cache

import pytest

from labctl.apply import survey, survey_script
from labctl.doctor.cards import CARD_GONE, DRIVER_DOWN
from labctl.doctor.explanation import Explanation, explained
from labctl.edges import catalog
from labctl.edges.checks import Host, for_each, not_run_here, output_of
from labctl.edges.verify_plugin import host_of
from labctl.errors import BadInput
from labctl.rig.our_names import OUR_PREFIX
from labctl.status.states import workload_state
from roles.workloads.in_force import Expected, Found, expected, script
from roles.workloads.in_force import found as read

_LOOK = "`labctl logs NAME` shows what it wrote, `labctl restart NAME` starts it anew."
_APPLY = "`labctl apply` puts back what the plan says."
LOOPBACK = "127.0.0.1"


@cache
def _surveyed(host: Host) -> survey.Seen:
    return survey.parse(output_of(host, survey_script.SCRIPT))


@cache
def _expected(host: Host) -> tuple[Expected, ...]:
    """Raises BadInput for a plan that cannot be read."""
    return expected(_surveyed(host), {service.name: service for service in catalog.services()})


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One check per workload that it can be made of."""
    if "workload" in metafunc.fixturenames:
        try:
            there = _expected(host_of(metafunc.config))
        except BadInput as problem:
            # One line says it; the checks of other roles are made all the same.
            for_each(metafunc, "workload", {"plan": problem} if metafunc.function is test_runs else {})
            return
        if metafunc.function is test_answers:
            there = tuple(each for each in there if each.answers)
        elif metafunc.function is test_data:
            there = tuple(each for each in there if each.volumes or each.folders)
        for_each(metafunc, "workload", {each.name: each for each in there})


@pytest.fixture(scope="module")
def found(host: Host) -> Found:
    """What the host says of all of them, at once."""
    seen, wanted = _surveyed(host), _expected(host)
    return read(seen, wanted, output_of(host, script(seen, wanted)))


@explained(
    Explanation(
        "The host runs without a card that it was placed on.",
        "`labctl gpus` shows the cards that answer; `labctl place --without` this one and `labctl apply` move it.",
        says="does not answer|do not answer",
    ),
    Explanation(
        "It was stopped by hand, and stays so until it is started, or the next apply or boot.",
        "`labctl start NAME` starts it.",
        says="is stopped",
    ),
    Explanation(
        "Its unit is not among those that systemd knows: its file was removed or cannot be read.",
        _APPLY,
        says="is not there",
    ),
    Explanation(
        "It runs and does not answer its own health check: it loads for long, hangs, or lacks something.",
        _LOOK,
        says="is unhealthy|is starting",
    ),
    Explanation(
        "The plan that lies beside the services in force cannot be read.",
        "`labctl apply` writes a new one.",
        says="plan",
    ),
    Explanation("It ends by itself, or does not come up.", _LOOK),
)
def test_runs(workload: Expected | BadInput, request: pytest.FixtureRequest) -> None:
    """it runs and is healthy"""
    if isinstance(workload, BadInput):
        raise workload
    found: Found = request.getfixturevalue("found")
    state = workload_state(workload.planned, workload.units, found.now, found.aside.get(workload.name))
    if workload.timer and state.state == "waits":
        timer = found.now.units.get(workload.timer)
        assert (timer.active if timer else "") == "active", f"{workload.timer} is stopped: nothing starts it"
    elif state.state in ("waits", "aside"):
        not_run_here(f"it {'stepped aside' if state.state == 'aside' else 'waits'} {state.detail}")
    detail = f": {state.detail}" if state.detail else ""
    if state.state in ("failed", "starting") and (silent := found.silent_cards(workload.planned)):
        detail = f": {', '.join(silent)} {'do' if len(silent) > 1 else 'does'} not answer"
    assert state.state in ("running", "waits"), f"it is {state.state}{detail}"
    assert state.health in (None, "healthy"), f"it is {state.health}{detail}"


@explained(
    Explanation(
        "Nothing takes connections at its port: it is not ready yet, or listens elsewhere inside its container.",
        _LOOK,
        says="connect|nobody takes",
    ),
    Explanation("Another program answers at its port, or it answers with an error.", _LOOK),
)
def test_answers(workload: Expected, found: Found) -> None:
    """it answers at its port, with what only it says"""
    _leave_out_what_does_not_run(workload, found)
    for port, answer in workload.answers.items():
        instead = found.said.get(port, "nothing")
        wanted = f"GET {answer.path} says “{answer.says}”" if answer else "takes connections"
        assert instead is None, f"{LOOPBACK}:{port} says “{instead}”, expected: {wanted}"


@explained(
    *DRIVER_DOWN,
    *CARD_GONE,
    Explanation(
        "Its container was given other cards than the plan says: its unit was changed by hand.",
        _APPLY,
        says="was given",
    ),
    Explanation(
        "Its container sees other cards than it was given: the description that containers get cards by is of others.",
        "`labctl deploy --only container_toolkit` describes the cards anew; then `labctl restart NAME`.",
    ),
)
def test_cards(workload: Expected, found: Found) -> None:
    """it has its cards and no other"""
    _leave_out_what_does_not_run(workload, found)
    for unit in workload.units:
        container = str(unit.container)
        wanted = frozenset(workload.planned.card_ids if unit is workload.first else ())
        given = found.given(container)
        assert given == wanted, f"{container} was given {_listed(given)}, not {_listed(wanted)}"
        seen = found.cards.get(container)
        if wanted and seen is None:
            raise AssertionError(
                f"{container} was given {_listed(wanted)} and nvidia-smi answers nothing in it"
            )
        assert not seen or seen == wanted, f"{container} sees {_listed(seen or ())}, not {_listed(wanted)}"


@explained(
    Explanation(
        "A container of it has the host's own network, where nothing keeps others from its ports.",
        _APPLY,
        says="host's own network",
    ),
    Explanation(
        "Something of it listens where the plan does not say: its unit was changed by hand, or it was given "
        "arguments that open a port.",
        _APPLY,
    ),
)
def test_listens(workload: Expected, found: Found) -> None:
    """it listens where the plan says and nowhere else"""
    _leave_out_what_does_not_run(workload, found)
    wanted = {(LOOPBACK, port.host, port.protocol) for port in workload.planned.ports}
    units = {unit.unit for unit in workload.units}
    for unit in workload.units:
        container = str(unit.container)
        assert not found.on_hosts_network(container), f"{container} is on the host's own network"
        mine = wanted if unit is workload.first else set()
        other = found.published(container) ^ mine
        assert not other, f"{container} publishes {_places(found.published(container))}, not {_places(mine)}"
    heard = {(each.address, each.port, each.protocol) for each in found.listeners if each.unit in units}
    assert heard <= wanted, f"it listens on {_places(heard - wanted)} too"


@explained(
    Explanation(
        "A volume or folder with its data is gone: it was removed, or its disk is not mounted.",
        "Look for the disk first (`findmnt`); a volume that was removed comes back empty with `labctl restart NAME`, "
        "and its data only from a backup.",
    ),
)
def test_data(workload: Expected, found: Found) -> None:
    """the volumes with its data are there"""
    lost = [f"volume {each}" for each in workload.volumes if each not in found.volumes]
    lost += [f"folder {each}" for each in workload.folders if each not in found.folders]
    assert not lost, f"{', '.join(lost)} {'is' if len(lost) == 1 else 'are'} not there"


def _leave_out_what_does_not_run(workload: Expected, found: Found) -> None:
    """That it does not run is said by the check of that."""
    unit = found.now.units[workload.first.unit]
    if unit.active not in ("active", "reloading"):
        not_run_here(f"{workload.first.unit.removeprefix(OUR_PREFIX).removesuffix('.service')} does not run")


def _listed(cards: object) -> str:
    names = sorted(cards) if isinstance(cards, frozenset) else []
    return ", ".join(names) or "no card"


def _places(places: object) -> str:
    found = sorted(places) if isinstance(places, set | frozenset) else []
    return ", ".join(f"{address}:{port}/{protocol}" for address, port, protocol in found) or "nowhere"
