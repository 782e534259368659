"""Home Assistant and vLLM's build for processors themselves, from PyPI: placed, applied, asked, verified, started anew.

Real: both programs, labctl's own commands, Podman, systemd, nvidia-smi. Simulated: the cards; vLLM is given one, and
computes on the processor. The images are not upstream's, and vLLM's model is of random weights.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from labctl.edges import catalog
from tests.host.every_service import EveryService
from tests.host.home_assistant import HomeAssistant
from tests.host.hosts import ThrowawayHosts
from tests.host.json_request import JSON, answer
from tests.host.port_forward import forwarded_port
from tests.host.real_services import boot_real_services
from tests.host.tiny_transformer import CONTEXT_TOKENS, NAME, write_tiny_transformer

pytestmark = [pytest.mark.host, pytest.mark.nightly]

_TOKENS = 12
_OWNER, _PASSWORD = "somebody", "a password of the test"


@pytest.fixture(scope="module")
def booted(
    throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[EveryService]:
    made = boot_real_services(throwaway_hosts, tmp_path_factory.mktemp("real"))
    print("\n".join(image.line for image in made.registry.images.images.values()))
    yield made
    throwaway_hosts.destroy(made.host)


@pytest.fixture
def lab(booted: EveryService, tmp_path: Path) -> EveryService:
    """With no plan yet."""
    return replace(booted, folder=tmp_path)


def _put_in_place(lab: EveryService, workloads: Mapping[str, Any]) -> None:
    lab.workloads.write_text(json.dumps({"workloads": workloads}))  # which is YAML, too
    for words in (("place", lab.workloads, "--out", lab.plan_file), ("models", "pull", lab.plan_file)):
        run = lab(*words)
        assert run.exit_code == 0, run.stdout + run.stderr
    assert lab.apply(lab.plan_file)["status"] == "done"


def _runs_as_the_catalogue_says(lab: EveryService, name: str, service: str) -> None:
    """Healthy by its own check, under the image's true name, with no rights but those that have a reason."""
    first = catalog.known_service(service).first
    found = lab.running()[f"labctl-{name}"]
    assert first.image is not None
    assert found["ImageName"] == f"{first.image.name}:{first.image.tag}"
    assert found["State"]["Health"]["Status"] == "healthy"
    assert first.health is not None
    assert found["Config"]["Healthcheck"]["Test"][-1].split()[-1].strip("'\"") == first.health.command[-1]
    assert found["HostConfig"]["ReadonlyRootfs"] is not bool(first.security.writable_root)
    assert lab.root(f"systemctl show --value -p MainPID labctl-{name}.service") != "0"
    lines = lab.root(f"cat /proc/{found['State']['Pid']}/status").splitlines()
    status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
    uid, gid = (first.security.user or "0:0").split(":")
    assert (status["Uid"].split(), status["Gid"].split()) == ([uid] * 4, [gid] * 4)
    assert {status[f"Cap{each}"] for each in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {"0" * 16}
    assert status["NoNewPrivs"] == "1"


def _passes_its_checks(lab: EveryService, name: str, checks: int) -> None:
    code, found = lab.checks()
    assert code == 0, found
    assert {each["status"] for each in found.values()} == {"passed"}, found
    assert len([each for each in found if each.endswith(f"[{name}]")]) == checks, found


def _restart(lab: EveryService, name: str) -> None:
    before = lab.ids()
    run = lab("restart", name, "--json")
    assert run.exit_code == 0, run.stdout + run.stderr
    assert lab.ids()[f"labctl-{name}"] != before[f"labctl-{name}"]


def test_home_assistant_of_pypi_gets_its_owner_and_still_knows_him_after_a_restart(lab: EveryService) -> None:
    _put_in_place(lab, {"home": {"service": "home-assistant"}})
    _runs_as_the_catalogue_says(lab, "home", "home-assistant")
    with forwarded_port(lab.host.ssh, lab.port("home")) as port:
        home = HomeAssistant(f"http://127.0.0.1:{port}")
        assert home.name() == "Home Assistant"
        assert home.steps()["user"] is False
        token = home.make_owner(_OWNER, _PASSWORD)
        said = home.config(token)
    assert (said["version"], said["config_dir"], said["state"]) == ("2026.9.2", "/config", "RUNNING")
    assert said["recovery_mode"] is False
    _passes_its_checks(lab, "home", 5)
    _restart(lab, "home")
    _runs_as_the_catalogue_says(lab, "home", "home-assistant")
    with forwarded_port(lab.host.ssh, lab.port("home")) as port:
        home = HomeAssistant(f"http://127.0.0.1:{port}")
        assert home.steps()["user"] is True
        assert home.config(home.log_in(_OWNER, _PASSWORD))["version"] == "2026.9.2"
    _passes_its_checks(lab, "home", 5)
    assert lab.apply(lab.plan_file)["status"] == "unchanged"


def _asked(lab: EveryService, name: str) -> dict[str, Any]:
    """What the model answers to a chat request as any OpenAI client makes it."""
    request = {
        "model": name,
        "messages": [{"role": "user", "content": "Who are you?"}],
        "max_tokens": _TOKENS,
        # Of random weights, the token that ends an answer may be the first.
        "ignore_eos": True,
    }
    with forwarded_port(lab.host.ssh, lab.port(name)) as port:
        at = f"http://127.0.0.1:{port}"
        (listed,) = answer(f"{at}/v1/models")["data"]
        assert (listed["id"], listed["owned_by"], listed["root"]) == (name, "vllm", f"/models/{NAME}")
        assert listed["max_model_len"] == CONTEXT_TOKENS
        assert answer(f"{at}/version") == {"version": "0.30.0"}
        return dict(answer(f"{at}/v1/chat/completions", json.dumps(request).encode(), JSON))


def test_vllm_of_pypi_answers_with_tokens_on_the_processor_and_again_after_a_restart(
    lab: EveryService,
) -> None:
    model = lab.folder / NAME
    write_tiny_transformer(model)
    # Nothing is compiled for the model: that takes longer than all it says, and a compiler.
    more = {"context": CONTEXT_TOKENS, "parallel": 2, "args": ["--enforce-eager"]}
    _put_in_place(lab, {"serve": {"service": "vllm", "model": str(model), **more}})
    _runs_as_the_catalogue_says(lab, "serve", "vllm")
    said = _asked(lab, "serve")
    assert said["usage"]["completion_tokens"] == _TOKENS
    assert said["choices"][0]["message"]["content"]
    print(f"vLLM's build for processors, of a model of random weights: {said['choices'][0]['message']}")
    _passes_its_checks(lab, "serve", 5)
    _restart(lab, "serve")
    _runs_as_the_catalogue_says(lab, "serve", "vllm")
    assert _asked(lab, "serve")["usage"]["completion_tokens"] == _TOKENS
    _passes_its_checks(lab, "serve", 5)
