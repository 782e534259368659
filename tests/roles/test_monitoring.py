"""What the monitoring role asks for, and its checks on what was said on a good host and on wrong ones."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest

from labctl.edges.checks import NotRunHere
from labctl.errors import BadInput
from labctl.hoststate.condition import Condition
from labctl.hoststate.files import Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit
from roles.firewall.settings import FirewallSettings
from roles.monitoring import checks
from roles.monitoring.deploy import DROP_IN, PACKAGE, UNIT, monitoring
from roles.monitoring.gpu_metrics import LINK, PATHS, TIMER
from roles.monitoring.settings import MonitoringSettings
from tests.roles.gpu_host import TWO_3090
from tests.roles.host_facts import host_facts
from tests.roles.recorded_host import Answer, recorded_host

ON, OFF = MonitoringSettings(enabled=True), MonitoringSettings()
EXPOSED = MonitoringSettings(enabled=True, expose=True)
UUIDS = tuple(f"GPU-51b01a7e-0000-4000-8000-00000000000{number}" for number in (0, 1))


def wanted(
    settings: MonitoringSettings, *, cards: bool = True, firewall: FirewallSettings | None = None
) -> dict[str, Resource]:
    facts = TWO_3090 if cards else host_facts()
    return {
        each.name: each for each in monitoring.role.resources(settings, facts, firewall or FirewallSettings())
    }


def files_of(resources: Mapping[str, Resource]) -> dict[str, str | None]:
    return {
        file.path: file.content
        for each in resources.values()
        if isinstance(each, Files)
        for file in each.files
    }


def walls(**exposed: object) -> FirewallSettings:
    return FirewallSettings.model_validate({"exposed": [exposed]})


def test_what_debian_starts_on_installation_starts_on_loopback() -> None:
    found = wanted(ON)
    kinds = [type(each) for each in found.values()]
    assert kinds.index(Files) < kinds.index(Packages) < kinds.index(Unit)
    drop_in = files_of(found)[DROP_IN] or ""
    assert "--web.listen-address=127.0.0.1:9100\n" in drop_in
    assert "\nEnvironmentFile=\nExecStart=\nExecStart=" in drop_in


def test_exposed_it_listens_everywhere_and_the_firewall_says_for_whom() -> None:
    opened = walls(port=9100, **{"from": ["192.168.1.5"]})
    drop_in = files_of(wanted(EXPOSED, firewall=opened))[DROP_IN] or ""
    assert "--web.listen-address=:9100\n" in drop_in
    assert DROP_IN in files_of(wanted(EXPOSED, firewall=FirewallSettings(manage=False)))


@pytest.mark.parametrize(
    ("firewall", "found"),
    [
        (FirewallSettings(), "no 9100 in"),
        (walls(port=9100), "opens 9100 to everybody"),
        (walls(port=9100, protocol="udp", **{"from": ["10.0.0.0/8"]}), "no 9100 in"),
        (walls(port=9101, **{"from": ["10.0.0.0/8"]}), "no 9100 in"),
    ],
)
def test_exposed_to_nobody_or_everybody_is_refused(firewall: FirewallSettings, found: str) -> None:
    with pytest.raises(BadInput, match=found):
        wanted(EXPOSED, firewall=firewall)
    assert wanted(ON, firewall=firewall)


def test_a_host_without_cards_gets_the_exporter_alone() -> None:
    found = wanted(ON, cards=False)
    files = files_of(found)
    assert files[DROP_IN]
    assert [files[path] for path in PATHS] == [None] * len(PATHS)
    assert not any(isinstance(each, Unit) and each.unit == TIMER for each in found.values())


def test_by_default_nothing_is_asked_for_and_what_was_ours_goes() -> None:
    found = wanted(OFF)
    assert set(files_of(found).values()) == {None}
    assert not any(isinstance(each, Unit | Packages) for each in found.values())
    # The drop-in says whose the package is: it is there until the package is not.
    names = list(found)
    assert names.index("exporter removed") < names.index("no exporter settings")
    removed = found["exporter removed"]
    assert isinstance(removed, Condition)
    assert DROP_IN in removed.probe
    assert f"purge {PACKAGE}" in removed.apply


def test_what_is_wanted_has_a_digest_of_its_own() -> None:
    opened = walls(port=9100, **{"from": ["192.168.1.5"]})
    often = ON.model_copy(update={"every_seconds": 60})
    digests = [
        tuple(each.digest() for each in wanted(settings, firewall=opened).values())
        for settings in (ON, OFF, EXPOSED, often)
    ]
    assert len(set(digests)) == len(digests)


_TOLD = (
    'node_boot_time_seconds 1.7e+09\nnode_memory_MemTotal_bytes 1\nnode_cpu_seconds_total{cpu="0"} 1\n'
    'node_filesystem_avail_bytes{device="/dev/sda"} 1\nnode_textfile_scrape_error 0\nlabctl_gpu_up 1\n'
    f'node_textfile_mtime_seconds{{file="{LINK}"}} 1.0001e+06\n'
    + "".join(
        f'labctl_gpu_info{{bus="1",name="x",uuid="{uuid}"}} 1\nlabctl_gpu_temperature_celsius{{uuid="{uuid}"}} 40\n'
        for uuid in UUIDS
    )
)
_LISTENS = 'LISTEN 0 4096 {} 0.0.0.0:* users:(("prometheus-node",pid=7,fd=3))\n'
_SSH = 'LISTEN 0 128 0.0.0.0:22 0.0.0.0:* users:(("sshd",pid=1,fd=3))\n'
GOOD: dict[str, Answer] = {
    "systemctl is-enabled": "enabled\n",
    "systemctl is-active": "active\n",
    "ls -d": "",
    "ss -H": _SSH + _LISTENS.format("127.0.0.1:9100"),
    "curl": _TOLD,
    "nvidia-smi -L": "".join(f"GPU 0: RTX 3090 (UUID: {uuid})\n" for uuid in UUIDS),
    "date +%s": "1000110\n",
    "test -e /proc/driver": (1, "", ""),
}
CHECKS = [value for name, value in vars(checks).items() if name.startswith("test_")]


def run(
    check: Callable[..., None],
    answers: Mapping[str, Answer],
    settings: MonitoringSettings = ON,
    container: str | None = None,
) -> None:
    fixtures = {
        "host": recorded_host({**GOOD, **answers}),
        "settings": settings,
        "facts": replace(TWO_3090, container=container),
    }
    check(**{name: fixtures[name] for name in inspect.signature(check).parameters})


@pytest.mark.parametrize("check", CHECKS)
def test_a_good_host_passes(check: Callable[..., None]) -> None:
    run(check, {})


def test_an_exposed_host_passes() -> None:
    for address in ("*:9100", "0.0.0.0:9100"):
        run(checks.test_listens, {"ss -H": _LISTENS.format(address)}, EXPOSED)


@pytest.mark.parametrize(
    ("check", "answers", "settings", "message"),
    [
        (checks.test_services, {"systemctl is-enabled": (1, "disabled\n", "")}, ON, f"{UNIT} is disabled"),
        (checks.test_services, {f"is-active {TIMER}": (3, "inactive\n", "")}, ON, f"{TIMER} is enabled and inactive"),
        (checks.test_services, {"ls -d": f"{DROP_IN}\n"}, OFF, f"monitoring is off, and {DROP_IN} is there"),
        (checks.test_listens, {"ss -H": _LISTENS.format("*:9100")}, ON, r"listens on \*:9100, not on 127"),
        (
            checks.test_listens,
            {"ss -H": _LISTENS.format("127.0.0.1:9100") + _LISTENS.format("10.0.0.1:9200")},
            ON,
            "listens on 10.0.0.1:9200, 127.0.0.1:9100, not",
        ),
        (checks.test_listens, {"ss -H": _SSH}, ON, "it listens on nothing"),
        (checks.test_listens, {}, EXPOSED, r"listens on 127.0.0.1:9100, not on \*:9100"),
        (checks.test_node_metrics, {"curl": (7, "", "curl: (7) refused")}, ON, "failed with exit status 7"),
        (
            checks.test_node_metrics,
            {"curl": _TOLD.replace("node_memory_MemTotal", "x")},
            ON,
            "no node_memory_MemTotal_bytes$",
        ),
        (
            checks.test_node_metrics,
            {"curl": _TOLD.replace("scrape_error 0", "scrape_error 1")},
            ON,
            "cannot be read",
        ),
        (checks.test_gpu_metrics, {"curl": _TOLD.replace("_up 1", "_up 0")}, ON, "labctl_gpu_up is not 1"),
        (
            checks.test_gpu_metrics,
            {"curl": _TOLD.replace(f'temperature_celsius{{uuid="{UUIDS[1]}', 'x{uuid="')},
            ON,
            f"temperature_celsius tells of {UUIDS[0]}, nvidia-smi lists {UUIDS[0]}, {UUIDS[1]}",
        ),
        (checks.test_gpu_metrics, {"curl": _TOLD.replace(LINK, "/x.prom")}, ON, "is not among what"),
        (checks.test_gpu_metrics, {"date +%s": "1000400\n"}, ON, "metrics are 300 s old, with 30 s between"),
    ],
)  # fmt: skip
def test_a_wrong_host_fails(
    check: Callable[..., None], answers: dict[str, Answer], settings: MonitoringSettings, message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        run(check, answers, settings)


@pytest.mark.parametrize("check", [each for each in CHECKS if each is not checks.test_services])
def test_where_nobody_asks_nothing_is_judged(check: Callable[..., None]) -> None:
    with pytest.raises(NotRunHere, match=r"monitoring\.enabled is False"):
        run(check, {}, OFF)


def test_a_container_without_the_driver_tells_of_no_cards() -> None:
    with pytest.raises(NotRunHere, match="belongs to the machine outside"):
        run(checks.test_gpu_metrics, {}, container="lxc")
    run(checks.test_services, {f"is-active {TIMER}": (3, "inactive\n", "")}, container="lxc")


def test_services_are_judged_also_where_nobody_asks() -> None:
    run(checks.test_services, {}, OFF)
