"""Whatever is placed is rendered with every protection, or with the reason why not; and shows no secret."""

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from labctl.plan.plan import Plan
from labctl.render.render import Rendered, render
from labctl.transaction.manifest import problems
from roles.container_toolkit.deploy import UNIT as CDI_UNIT
from roles.gpu_power.host_limits import POWER
from tests.labctl.plan.plans import plan, runs
from tests.labctl.plan.questions import answered, question
from tests.labctl.render.cases import SERVICES, case_plan, containers, facts, lines, rendered, texts

# Key and value, or the words that say why it is not there.
PROTECTIONS = (
    (r"DropCapability=all", None),
    (r"NoNewPrivileges=true", r"# It may gain privileges: \S.{8,}"),
    (r"ReadOnly=true", r"# Its root can be written: \S.{8,}"),
    (r"User=[1-9]\d*\nGroup=\d+", r"# It runs as (root: \S.{8,}|its image says, \S+.*)"),
    (r"PidsLimit=\d+", None),
    (r"LogDriver=journald", None),
    (r"StopTimeout=\d+", None),
    (r"HealthCmd=\S.*", r"# No health check: \S.{8,}"),
    (r"MemoryMax=[1-9]\d*M", r"# No limit on memory: \S.{8,}"),
    (r"CPUQuota=\d+%", r"# No limit on the processor: \S.{8,}"),
    (r"TimeoutStartSec=(\d+(min)?|infinity)", None),
    (r"TimeoutStopSec=\d+", None),
    (r"Environment=NVIDIA_VISIBLE_DEVICES=void", None),
    (r"Image=\S+:\S+", None),
)
SEEDS = range(12)


def lacking(text: str) -> Iterator[str]:
    """What is wrong with one container's file."""
    for key, reason in PROTECTIONS:
        there = [re.search(f"^{each}$", text, re.MULTILINE) for each in (key, reason) if each]
        if not any(there):
            yield key
    yield from _wrong(text)


def _wrong(text: str) -> Iterator[str]:
    """What should not be there, or not without something else."""
    if "AutoUpdate" in text:
        yield "AutoUpdate"
    if any('"' in each for each in lines(text, "HealthCmd")):
        yield "double quotes, which Podman before 5.8.2 loses"
    if lines(text, "HealthStartupCmd") != lines(text, "HealthCmd"):
        yield "another word for being up than for being well, or none"
    for port in lines(text, "PublishPort"):
        if not re.fullmatch(r"127\.0\.0\.1:\d+:\d+(/udp)?", port):
            yield port
    for capability in lines(text, "AddCapability"):
        if not re.search(rf"^# {capability}: \S.*\nAddCapability={capability}$", text, re.MULTILINE):
            yield capability
    if ("AddDevice=nvidia.com/gpu" in text) != (f"After={POWER.name} {CDI_UNIT}\n" in text):
        yield "power limits and the cards' description"
    if any(each != "labctl.target" for each in lines(text, "WantedBy")):
        yield "WantedBy"


@pytest.mark.parametrize("path", containers(rendered(case_plan())))
def test_every_service_has_every_protection_or_says_why_not(path: str) -> None:
    assert list(lacking(containers(rendered(case_plan()))[path])) == []


@pytest.mark.parametrize("line", [each.partition("=")[0] for each, _ in PROTECTIONS if "=" in each])
def test_a_protection_that_is_missing_is_seen(line: str) -> None:
    text = containers(rendered(case_plan()))["units/labctl-chat.container"]
    # Nothing of the catalogue has this one.
    text = re.sub(r"^# Its root can be written: .*$", "ReadOnly=true", text, flags=re.MULTILINE)
    assert not list(lacking(text))
    without = "\n".join(each for each in text.splitlines() if not each.startswith(f"{line}="))
    assert list(lacking(without))


def generated(seed: int) -> tuple[Plan, list[Rendered]]:
    """What is placed of a generated question, some using others, as files of each host."""
    made, _ = answered(question(seed))
    names = list(made.workloads)
    workloads = {
        name: replace(
            planned, uses=tuple(each for each in names[:index] if seed % 2 and _beside(each, name, made))
        )
        for index, (name, planned) in enumerate(made.workloads.items())
    }
    made = replace(made, workloads=workloads)
    return made, [render(made, host.name, SERVICES, facts()) for host in made.rig.hosts]


def _beside(one: str, other: str, placed: Plan) -> bool:
    return placed.workloads[one].host == placed.workloads[other].host


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_is_placed_is_rendered_whole(seed: int) -> None:
    placed, hosts = generated(seed)
    units = {unit.container: unit for made in hosts for unit in made.manifest.units if unit.container}
    for name, planned in placed.workloads.items():
        unit = units[f"labctl-{name}"]
        fills = SERVICES[planned.service].least_free_mib if planned.elastic else None
        assert unit.gpus == {each.card: fills or each.high_mib for each in planned.cards}
        assert [(each.port, each.protocol) for each in unit.ports] == [
            (each.host, each.protocol) for each in planned.ports
        ]
    for made in hosts:
        assert list(problems(made.manifest)) == []
        ports = [(each.port, each.protocol) for unit in made.manifest.units for each in unit.ports]
        assert len(ports) == len(set(ports))
        for path, text in containers(made).items():
            assert list(lacking(text)) == [], path
            cards = {each for each in lines(text, "AddDevice") if each.startswith("nvidia.com/gpu=")}
            stem = path.removeprefix("units/").removesuffix(".container")
            assert cards == {f"nvidia.com/gpu={each}" for each in units[stem].gpus}
            assert ("CUDA_DEVICE_ORDER=PCI_BUS_ID" in text) == bool(cards)


def test_no_secret_is_in_any_file() -> None:
    there = case_plan()
    assert there.workloads["ui"].secrets == ("env.OPENAI_API_KEYS",)
    made = rendered(there)
    everything = "\n".join([made.manifest.text(), *(each.decode() for each in made.files.values())])
    assert "canary" not in everything
    assert "Secret=ui-env_OPENAI_API_KEYS,type=env,target=OPENAI_API_KEYS" in everything
    found = {each.name: (each.made, each.characters, each.variable) for each in made.secrets}
    assert found["ui-env_OPENAI_API_KEYS"] == ("written", None, "OPENAI_API_KEYS")
    assert found["files-db-password"] == ("random", 40, None)
    assert "images-hf-token" not in found
    # Each is named by the unit that takes it, and nothing else is.
    named = {each.partition(",")[0] for text in texts(made).values() for each in lines(text, "Secret")}
    assert named == set(found)


def test_a_secret_takes_the_place_of_the_catalogue_s_own_value() -> None:
    there = plan({"w": runs("whisper", model="x", secrets=("env.LOG_LEVEL",))})
    text = texts(rendered(there))["units/labctl-w.container"]
    assert "Secret=w-env_LOG_LEVEL,type=env,target=LOG_LEVEL" in text
    assert "Environment=LOG_LEVEL" not in text


def test_a_secret_of_the_person_s_own_is_used_once_the_host_has_it() -> None:
    made = rendered(case_plan(), facts(secrets=frozenset({"images-hf-token"})))
    assert "Secret=images-hf-token,type=env,target=HF_TOKEN" in texts(made)["units/labctl-images.container"]
    assert "images-hf-token" in {each.name for each in made.secrets}
