"""Host ports: one each, kept, never twice on a host, and as written where a person wrote one."""

from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.plan import ports
from labctl.plan.plan import PlannedPort
from labctl.plan.ports import Published, host_ports, published
from labctl.workloads.workload import Workload
from tests.labctl.plan.plans import plan, runs

WEB, DNS = Published(80, "tcp", None), Published(53, "udp", None)


def wanted(service: str, *written: str) -> tuple[Published, ...]:
    found = catalog.service(service)
    assert found
    return published(Workload("w", service, 1, ports=written), found)


def numbers(given: object) -> dict[str, list[int]]:
    assert isinstance(given, dict)
    return {name: [each.host for each in found] for name, found in given.items()}


def test_what_a_service_publishes_and_what_the_person_adds_or_fixes() -> None:
    assert wanted("open-webui") == (Published(8080, "tcp", None),)
    assert wanted("open-webui", "9000:8080") == (Published(8080, "tcp", 9000),)
    assert wanted("open-webui", "53/udp") == (DNS, Published(8080, "tcp", None))
    assert wanted("container", "8080", "8080") == (Published(8080, "tcp", None),)


def test_the_lowest_free_ones_by_name_and_each_host_by_itself() -> None:
    given = host_ports(
        {"b": ("one", (WEB,)), "a": ("one", (DNS, WEB)), "c": ("two", (WEB,))}, {"two": [20000]}
    )
    assert numbers(given) == {"b": [20002], "a": [20000, 20001], "c": [20001]}


def test_one_port_for_tcp_and_udp() -> None:
    given = host_ports({"dns": ("one", (Published(53, "tcp", None), DNS))}, {})
    assert given["dns"] == (PlannedPort(53, 20000, "tcp"), PlannedPort(53, 20000, "udp"))


def test_written_ones_stay_and_nobody_else_gets_them() -> None:
    given = host_ports({"a": ("one", (WEB,)), "b": ("one", (Published(80, "tcp", 20000),))}, {})
    assert numbers(given) == {"a": [20001], "b": [20000]}


def test_a_kept_plan_keeps_its_ports() -> None:
    before = plan({"b": runs(ports=(PlannedPort(80, 20000),)), "c": runs(ports=(PlannedPort(80, 9000),))})
    same = {"a": ("aibox", (WEB,)), "b": ("aibox", (WEB,)), "c": ("aibox", (WEB,))}
    # What was written and is no longer was not given out.
    assert numbers(host_ports(same, {}, before)) == {"a": [20001], "b": [20000], "c": [20002]}
    taken = {**same, "a": ("aibox", (Published(80, "tcp", 20000),))}
    assert numbers(host_ports(taken, {}, before)) == {"a": [20000], "b": [20001], "c": [20002]}


def test_a_host_without_ports_left_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LAST", ports.FIRST)
    with pytest.raises(BadInput, match="no port of this host is left"):
        host_ports({"a": ("one", (WEB, replace(WEB, container=81)))}, {})
