"""What others hold of a host, by what their programs print; and who is told of it."""

import json
from dataclasses import replace
from typing import Any

import pytest

from labctl.apply.foreign import Listener, containers, listeners
from labctl.apply.generation import Generation
from labctl.apply.refusals import notes, of_generation
from labctl.apply.survey import Card, CardUser, Seen
from labctl.plan.plan import PlannedPort
from tests.labctl.plan.plans import FIRST, claims, plan, runs
from tests.labctl.render.cases import rendered

ID = "4f8e0c1d2b3a" * 5
# As `ss -Hlntup` of iproute2 6.15 prints it.
SS = """\
udp   UNCONN 0      0      127.0.0.53%lo:53        0.0.0.0:*    users:(("systemd-resolve",pid=411,fd=14))
tcp   LISTEN 0      4096       127.0.0.1:20000     0.0.0.0:*    users:(("conmon",pid=812,fd=5))
tcp   LISTEN 0      128             [::]:22           [::]:*    users:(("sshd",pid=501,fd=7),("systemd",pid=1,fd=99))
tcp   LISTEN 0      511     192.168.1.20:8080      0.0.0.0:*
"""
# The keys of `podman container inspect` (5.4) and `docker container inspect` (27) that are looked at.
PODMAN = {
    "Id": ID,
    "Name": "paperless_db_1",
    "Config": {
        "Labels": {"io.podman.compose.project": "paperless", "com.docker.compose.project": "paperless"}
    },
    "Mounts": [{"Type": "volume", "Name": "ui-data", "Source": "/var/lib/containers/x", "Destination": "/d"}],
    "HostConfig": {"PortBindings": {}, "Devices": []},
    "NetworkSettings": {"Ports": {"5432/tcp": None}},
}
DOCKER = {
    "Id": "ab" * 32,
    "Name": "/comfy",
    "Config": {"Labels": {}},
    "Mounts": [{"Type": "bind", "Source": "/srv/pictures/", "Destination": "/out"}],
    "HostConfig": {
        "PortBindings": {"8188/tcp": [{"HostIp": "", "HostPort": ""}]},
        "DeviceRequests": [{"Count": -1}],
    },
    "NetworkSettings": {"Ports": {"8188/tcp": [{"HostIp": "0.0.0.0", "HostPort": "20000"}]}},
}
OURS = {"Name": "labctl-ui", "Config": {"Labels": {"labctl.workload": "ui"}}, "Mounts": [], "HostConfig": {}}
UI = runs("container", image="localhost/ui:1", volumes={"data": "/data"}, ports=(PlannedPort(80, 20000),))


def new(**more: Any) -> Generation:
    made = rendered(plan({"ui": replace(UI, **more)}))
    return Generation(made.manifest, made.files)


def told(seen: Seen, **more: Any) -> list[str]:
    generation = new(**more)
    return [str(each) for each in of_generation(seen, generation, generation.manifest.units)]


def printed(*found: dict[str, Any]) -> str:
    return "".join(json.dumps([each], indent=1) + "\n" for each in found)


def test_listeners_are_read() -> None:
    found = list(listeners(SS, {812: "0::/system.slice/web.service"}))
    assert found[:3] == [
        Listener("127.0.0.53", 53, "udp", "systemd-resolve", 411, None),
        Listener("127.0.0.1", 20000, "tcp", "conmon", 812, "web.service"),
        Listener("[::]", 22, "tcp", "sshd", 501, None),
    ]
    assert found[3].words == "a program"
    assert found[1].words == "conmon of web.service"


@pytest.mark.parametrize(
    ("address", "stands"),
    [("0.0.0.0", True), ("127.0.0.1", True), ("*", True), ("[::]", True), ("192.168.1.20", False)],
)
def test_an_address_of_its_own_is_nobody_elses_business(address: str, stands: bool) -> None:
    listener = Listener(address, 20000, "tcp", "nginx", 1, None)
    assert listener.stands_on("127.0.0.1", 20000, "tcp") is stands
    assert not listener.stands_on("127.0.0.1", 20000, "udp")
    assert not listener.stands_on("127.0.0.1", 20001, "tcp")


def test_containers_of_both_engines_are_read() -> None:
    podman, docker, ours = containers(printed(PODMAN, DOCKER, OURS))
    assert (podman.project, podman.volumes, podman.ports, podman.ours) == (
        "paperless",
        ("ui-data",),
        (),
        False,
    )
    assert (docker.name, docker.folders, docker.cards) == ("comfy", ("/srv/pictures/",), True)
    assert docker.ports == (("0.0.0.0", 20000, "tcp"),)
    assert ours.ours
    assert list(containers("\n")) == []


def test_a_port_is_told_by_the_container_that_publishes_it() -> None:
    seen = Seen("aibox", containers=tuple(containers(printed(DOCKER))), listeners=tuple(listeners(SS, {})))
    (one,) = told(seen)
    assert one == (
        "ui: port 20000/tcp is taken (found container comfy, expected 127.0.0.1:20000 free) — stop and remove comfy, "
        "after a look at its volumes, or give ui another port in the workloads file"
    )


def test_one_on_the_hosts_network_is_told_by_its_process() -> None:
    seen = Seen(
        "aibox",
        containers=tuple(containers(printed(PODMAN))),
        listeners=tuple(listeners(SS, {812: f"0::/machine.slice/libpod-{ID}.scope"})),
    )
    assert "found container paperless_db_1 of the compose project paperless," in told(seen, volumes={})[0]


def test_data_in_use_is_told() -> None:
    seen = Seen("aibox", containers=tuple(containers(printed(PODMAN, DOCKER))))
    (volume,) = told(seen, ports=())
    assert volume.startswith(
        "ui-data: its data is in use (found ui-data by container paperless_db_1 of the compose project paperless)"
    )
    assert "compose --project-name paperless down" in volume
    (folder,) = told(seen, ports=(), data="/srv/pictures")
    assert "found /srv/pictures/data by container comfy" in folder
    assert told(seen, ports=(), data="/srv/other") == []
    assert told(Seen("aibox", containers=tuple(containers(printed(OURS)))), ports=()) == []


def test_models_may_be_read_by_others() -> None:
    reader = {**DOCKER, "Mounts": [{"Type": "bind", "Source": "/srv/models"}], "NetworkSettings": {}}
    seen = Seen("aibox", containers=tuple(containers(printed(reader))))
    variant = {"quant": "Q8_0", "context": 8192, "parallel": 1, "kv_type": "f16"}
    model = runs("llama.cpp", cards=claims(first=8000), model="qwen2.5-7b", variant=variant)
    made = rendered(plan({"chat": model}))
    generation = Generation(made.manifest, made.files)
    assert "Volume=/srv/models:" in generation.text("units/labctl-chat.container")
    assert list(of_generation(seen, generation, generation.manifest.units)) == []


def test_a_card_that_somebody_fills_is_told() -> None:
    user = CardUser(FIRST, 77, "python3", 20000, f"docker-{'ab' * 32}.scope", ours=False)
    seen = Seen(
        "aibox",
        cards=(Card(FIRST, 24576, "580"),),
        card_users=(user,),
        containers=tuple(containers(printed(DOCKER))),
    )
    (one,) = told(seen, ports=(), cards=claims(first=8000))
    assert "4576 MiB left by container comfy (process 77, 20000 MiB)" in one
    assert told(seen, ports=(), cards=claims(first=4000)) == []
    ours = replace(seen, card_users=(replace(user, ours=True),))
    assert told(ours, ports=(), cards=claims(first=8000)) == []


def test_who_may_take_cards_later_is_noted() -> None:
    seen = Seen("aibox", card_services=("ollama.service",), containers=tuple(containers(printed(DOCKER))))
    assert list(notes(seen, new())) == []
    found = list(notes(seen, new(cards=claims(first=8000))))
    assert found[0].startswith("ollama.service runs")
    assert found[1].startswith("container comfy has cards")


def test_a_name_that_quadlet_would_replace_is_told() -> None:
    foreign = {**OURS, "Config": {"Labels": {}}}
    seen = Seen("aibox", containers=tuple(containers(printed(foreign))))
    assert told(seen)[0].startswith("ui: another container has the name (found container labctl-ui)")
