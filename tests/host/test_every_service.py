"""Every service of the catalogue on a host: placed, applied, healthy, answering, checked, moved when a card is gone.

Real: labctl's own commands, Podman, systemd, nvidia-smi, and llama.cpp, PostgreSQL, Valkey and nginx of Debian's
packages. Stand-ins: the programs of all other images, which say so in their logs. Simulated: the cards, and what is
held of their memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from labctl.edges import catalog
from labctl.plan.plan import PlannedWorkload
from labctl.render import names
from roles.container_toolkit.deploy import CDI, UNIT
from roles.workloads import checks
from tests.host import llama_service
from tests.host.complaints import too_wide
from tests.host.every_service import JOB, EveryService, boot_every_service
from tests.host.hosts import ThrowawayHosts
from tests.host.port_forward import forwarded_port
from tests.host.simulated_driver import write
from tests.simulated_nvml.description import uuid_of

# Minutes of both cores; what `make demo` runs of it is tried every time.
pytestmark = [pytest.mark.host, pytest.mark.nightly]

_LEFT, _GONE = uuid_of(0), uuid_of(1)
_DATABASE, _CACHE = "labctl-files-db", "labctl-files-cache"
_SQL = ("psql", "-U", "nextcloud", "-d", "nextcloud", "-Atc")
_UNITS = "/etc/containers/systemd/labctl"
_ANOTHER_PROGRAM = "/usr/local/lib/another-program.json"
_EXTRA_LISTENER = """[Service]
ExecStartPost=/bin/sh -c '/usr/bin/python3 -m http.server 9999 --bind 0.0.0.0 >/dev/null 2>&1 &'
"""
# Every container would have all cards, whatever it asks for.
_ALL_FOR_EACH = f"sed -i 's,^  deviceNodes:,&\\n  - path: /dev/nvidia0\\n  - path: /dev/nvidia1,' {CDI}"


def _check(check: Any, workload: str) -> str:
    """What `labctl verify` calls a check of a workload."""
    return f"{check.__doc__} [{workload}]"


def _cards_of(planned: PlannedWorkload) -> set[str]:
    return {claim.card for claim in planned.cards}


@pytest.fixture(scope="module")
def applied(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EveryService]:
    made = boot_every_service(throwaway_hosts, tmp_path_factory.mktemp("every-service"))
    print("\n".join(image.line for image in made.registry.images.images.values()))
    assert made.apply(made.plan_file)["status"] == "done"
    yield made
    throwaway_hosts.destroy(made.host)


@pytest.fixture
def lab(applied: EveryService) -> EveryService:
    """All as applied, and each holding what is expected of its cards."""
    applied.holding()
    return applied


def test_every_container_is_healthy_under_its_images_true_name(lab: EveryService) -> None:
    assert {planned.service for planned in lab.plan.workloads.values()} == {
        service.name for service in catalog.services()
    }
    assert {card for planned in lab.plan.workloads.values() for card in _cards_of(planned)} == {_LEFT, _GONE}
    running, wanted = lab.running(), lab.containers()
    assert running.keys() == wanted.keys() - {f"labctl-{JOB}"}
    for name, found in running.items():
        health, container = found["State"].get("Health", {}).get("Status"), wanted[name]
        assert (health or None) == ("healthy" if container.health else None), name
        image = container.image.name if container.image else str(lab.plan.workloads["site"].image)
        assert found["ImageName"].startswith(image), name


def test_verify_has_each_check_of_each_service_and_all_pass(lab: EveryService) -> None:
    code, found = lab.checks()
    assert code == 0, found
    every = (checks.test_runs, checks.test_cards, checks.test_listens, checks.test_data)
    wanted = {_check(check, name) for check in every for name in lab.plan.workloads}
    wanted |= {_check(checks.test_answers, name) for name, each in lab.plan.workloads.items() if each.ports}
    assert found.keys() == wanted
    assert {name: each["status"] for name, each in found.items() if each["status"] != "passed"} == {
        _check(check, JOB): "not run here" for check in (checks.test_cards, checks.test_listens)
    }


def test_each_answers_on_loopback_alone_with_its_own_words(lab: EveryService) -> None:
    words = lab.words()
    heard = lab.get(*words, lab.url("site"))
    assert {url for url, says in words.items() if says not in heard[url]} == set(), heard
    assert "nginx of Debian's packages" in heard[lab.url("site")]
    addresses = {line.split()[3] for line in lab.root("ss -Hltn").splitlines()}
    for name, planned in lab.plan.workloads.items():
        for port in planned.ports:
            found = {each for each in addresses if each.endswith(f":{port.host}")}
            assert found == {f"127.0.0.1:{port.host}"}, name


def test_each_sees_its_cards_and_no_other(lab: EveryService) -> None:
    for name, planned in lab.plan.workloads.items():
        if name != JOB:
            assert _seen(lab, f"labctl-{name}") == _cards_of(planned), name
    assert _seen(lab, _DATABASE) == set()


def _seen(lab: EveryService, container: str) -> set[str]:
    asked = f"podman exec {container} nvidia-smi --query-gpu=uuid --format=csv,noheader"
    done = lab.host.console_run(asked, check=False)
    assert done.returncode == 0 or "not found" in done.stderr, done.stderr
    return set(done.stdout.split()) if done.returncode == 0 else set()


def test_the_interface_reaches_all_that_it_uses_and_they_serve_what_they_are_told(lab: EveryService) -> None:
    (told,) = lab.get(lab.url("ui", "/stand-in")).values()
    reached = {
        address: answer for each in json.loads(told)["reached"].values() for address, answer in each.items()
    }
    assert len(reached) == len(lab.plan.workloads["ui"].uses)
    bad = {address for address, answer in reached.items() if not answer.startswith(("200", "404"))}
    assert bad == set(), reached
    models = " ".join(answer for address, answer in reached.items() if address.endswith("/v1"))
    assert '"chat"' in models
    assert '"fast"' in models


def test_llama_cpp_answers_a_chat_request_with_tokens_and_status_tells_how_fast(lab: EveryService) -> None:
    with forwarded_port(lab.host.ssh, lab.port("chat")) as port:
        answer = llama_service.ask(f"http://127.0.0.1:{port}", "Hello?", most_tokens=8)
    assert (answer.tokens, answer.model) == (8, "chat")
    _, _, workloads = lab.status()
    assert workloads["chat"]["tokens_per_second"] > 0
    assert workloads["home"]["tokens_per_second"] is None


def test_status_holds_what_is_held_against_the_estimate_and_flags_what_is_above(
    lab: EveryService, tmp_path: Path
) -> None:
    code, host, workloads = lab.status()
    assert (code, host["as_planned"], host["generation"]) == (0, True, 1), json.dumps(host, indent=1)
    for name, planned in lab.plan.workloads.items():
        assert [(use["gpu"], use["held_mib"], use["claim_mib"]) for use in workloads[name]["gpus"]] == [
            (claim.card, 0 if name == JOB else claim.expected_mib, claim.high_mib) for claim in planned.cards
        ], name
    (claim,) = lab.plan.workloads["chat"].cards
    over = claim.high_mib - claim.expected_mib + 600
    lab.holding({"chat": over})
    code, host, workloads = lab.status()
    assert (code, host["as_planned"]) == (3, False)
    assert [(each["kind"], each["unit"]) for each in host["drift"]["units"]] == [
        ("above_claim", "labctl-chat.service")
    ]
    above = {name: use["above_claim_mib"] for name, each in workloads.items() for use in each["gpus"]}
    assert {name for name, mib in above.items() if mib} == {"chat"}
    assert above["chat"] == 600
    text = lab("status", "--save-measured", tmp_path / "measured.yaml").stdout
    assert too_wide(text) == []
    assert "labctl-chat.service holds" in text
    assert "`vram_mib: " in " ".join(text.split())
    assert f'"total_mib": {claim.expected_mib + over}' in (tmp_path / "measured.yaml").read_text()


def test_the_same_plan_again_touches_nothing(lab: EveryService) -> None:
    before = lab.ids()
    assert lab.apply(lab.plan_file)["status"] == "unchanged"
    assert lab.ids() == before


def test_the_database_and_the_cache_keep_their_data_when_they_are_started_anew(lab: EveryService) -> None:
    lab.inside(_DATABASE, *_SQL, "create table kept as select 42 as answer")
    lab.inside(_CACHE, "valkey-cli", "set", "kept", "42")
    before = lab.ids()
    restarted = lab("restart", "files", "--json")
    assert restarted.exit_code == 0, restarted.stdout + restarted.stderr
    after = lab.ids()
    assert {name for name in before if before[name] != after[name]} == {*lab.containers("files")}
    assert lab.inside(_DATABASE, *_SQL, "select answer from kept") == "42"
    assert lab.inside(_DATABASE, *_SQL, "show data_checksums") == "on"
    assert lab.inside(_CACHE, "valkey-cli", "get", "kept") == "42"
    (said,) = lab.get(lab.url("files", "/status.php")).values()
    assert json.loads(said)["installed"], said
    assert json.loads(said)["database"].startswith("PostgreSQL 17")


def test_a_job_takes_the_card_of_what_it_displaces_and_gives_it_back(lab: EveryService) -> None:
    results = lab.root(f"podman volume inspect --format '{{{{.Mountpoint}}}}' {JOB}-runs")
    # At its time, and nobody has brought its configuration: nothing steps aside.
    assert lab.root(f"systemctl start {names.look(JOB)} || echo refused").endswith("refused")
    assert f"{results}/config.yaml is not there" in lab.root(f"journalctl -o cat -u {names.look(JOB)}")
    code, _, workloads = lab.status()
    assert (code, workloads[JOB]["state"], workloads["chat"]["state"]) == (3, "failed", "running")
    lab.root(f"touch {results}/config.yaml")
    started = lab("start", JOB, "--json")
    assert (started.exit_code, started.document["workloads"][0]["outcome"]) == (0, "started"), started
    lab.wait_until(f"[ -s {results}/out/stand-in.json ]")
    result = json.loads(lab.root(f"cat {results}/out/stand-in.json"))
    assert set(result["cards"]) == _cards_of(lab.plan.workloads[JOB])
    lab.wait_until("systemctl -q is-active labctl-chat")
    assert lab.root("journalctl -o cat -u labctl-chat | grep -c '^Stopped '") == "1"


def test_logs_stop_and_start_are_the_services_own(lab: EveryService) -> None:
    logs = lab("logs", "home")
    assert logs.exit_code == 0, logs.stderr
    assert "home-assistant" in logs.stdout
    assert "STAND-IN" in logs.stdout
    assert "nginx" not in logs.stdout
    before = lab.ids()
    stopped = lab("stop", "home")
    assert (stopped.exit_code, "home stopped on" in stopped.stdout) == (0, True), stopped
    assert "is stopped already" in lab("stop", "home").stdout
    code, _, workloads = lab.status()
    assert (code, {name: each["state"] for name, each in workloads.items() if not each["as_planned"]}) == (
        3,
        {"home": "stopped"},
    )
    assert lab.failed() == {_check(checks.test_runs, "home"): "it is stopped"}
    started = lab("start", "home", "--json")
    assert (started.exit_code, started.document["workloads"][0]["outcome"]) == (0, "started"), started
    assert "home runs already" in lab("start", "home").stdout
    after = lab.ids()
    assert {name for name in before if before[name] != after[name]} == {"labctl-home"}


def test_verify_finds_planted_faults_and_an_apply_mends_what_was_edited(lab: EveryService) -> None:
    unit = f"{_UNITS}/labctl-listen.container"
    about = lab.inside("labctl-listen", "cat", "/etc/stand-in.json")
    write(lab.host, _ANOTHER_PROGRAM[1:], about.replace("/v1/audio/transcriptions", "another program"))
    lab.root(f"sed -i 's,^.Container.$,&\\nVolume={_ANOTHER_PROGRAM}:/etc/stand-in.json:ro,' {unit}")
    write(lab.host, "etc/systemd/system/labctl-home.service.d/mine.conf", _EXTRA_LISTENER)
    lab.root(
        f"{_ALL_FOR_EACH}; systemctl daemon-reload; systemctl restart labctl-listen labctl-home labctl-pull"
    )
    lab.root("systemctl stop labctl-site; podman volume rm site-pages")
    found = lab.failed()
    (mine,) = _cards_of(lab.plan.workloads["pull"])
    both = f"{_LEFT}, {_GONE}"
    assert found == {
        _check(checks.test_answers, "listen"): found.get(_check(checks.test_answers, "listen")),
        _check(checks.test_cards, "listen"): found.get(_check(checks.test_cards, "listen")),
        _check(checks.test_cards, "pull"): f"labctl-pull sees {both}, not {mine}",
        _check(checks.test_listens, "home"): "it listens on 0.0.0.0:9999/tcp too",
        _check(checks.test_runs, "site"): "it is stopped",
        _check(checks.test_data, "site"): "volume site-pages is not there",
    }
    assert "another program" in found[_check(checks.test_answers, "listen")]
    _, host, _ = lab.status()
    assert host["drift"]["edited"] == ["units/labctl-listen.container"]

    lab.root("rm -r /etc/systemd/system/labctl-home.service.d; systemctl daemon-reload")
    lab.root(f"systemctl restart {UNIT}; systemctl restart labctl-home labctl-pull")
    lab.letting_go()
    told = lab.apply(lab.plan_file)
    assert {each["workload"]: each["why"] for each in told["changes"]} == {
        "listen": ["edited by hand"],
        "site": [],
    }
    assert lab.checks()[0] == 0


def test_without_a_card_at_boot_the_others_run_and_place_without_and_apply_move_what_needs_it(
    lab: EveryService, tmp_path: Path
) -> None:
    """The last one: the card does not come back."""
    lame = {name for name, planned in lab.plan.workloads.items() if _GONE in _cards_of(planned)}
    assert lame
    assert lame < {name for name, planned in lab.plan.workloads.items() if planned.cards}
    well = {*lab.plan.workloads} - lame - {JOB}
    lab.boots_with(0)
    lab.wait_until(*(f"systemctl -q is-active {each}" for each in lab.containers(*well)))

    code, host, workloads = lab.status()
    assert (code, [each["kind"] for each in host["drift"]["hardware"]]) == (3, ["card_gone"])
    assert {name for name, each in workloads.items() if each["state"] == "running"} == well
    text = lab("status").stdout
    assert too_wide(text) == []
    for name in lame:
        assert f"! {name} cannot start: aibox/1 does not answer" in text
    failed = lab.failed()
    assert failed.keys() == {_check(checks.test_runs, name) for name in lame}
    assert all(_GONE in reason for reason in failed.values()), failed

    before = lab.ids()
    refused = lab("apply", lab.plan_file, "--yes", "--json")
    assert refused.exit_code == 3, refused.stdout
    (refusal,) = refused.host(lab.host.name)["refusals"]
    assert f"labctl place --without {_GONE}" in refusal["hint"]
    assert lab.ids() == before

    plan = tmp_path / "plan.json"
    placed = lab("place", lab.workloads, "--without", _GONE, "--keep", lab.plan_file, "--out", plan, "--json")
    assert placed.exit_code == 0, placed.stdout + placed.stderr
    moved = {each["workload"] for each in placed.document["changes"]}
    assert moved == lame
    told = lab.apply(plan)
    assert told["status"] == "done"
    # An engine that fills a card is told anew what others leave of it.
    elastic = {name for name, planned in lab.plan.workloads.items() if lab.services[planned.service].elastic}
    changed = {each["workload"] for each in told["changes"]}
    assert lame <= changed <= lame | elastic, told["changes"]
    after = lab.ids()
    assert {name for name in lab.containers(*well - elastic) if before[name] != after[name]} == set()
    assert lab.checks()[0] == 0
    for name in lame:
        assert _seen(lab, f"labctl-{name}") == {_LEFT}
