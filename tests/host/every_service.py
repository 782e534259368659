"""A host on which every service of the catalogue runs, as `labctl place` has placed them on two simulated cards."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from labctl.edges import catalog
from labctl.edges.plan_file import read_plan
from labctl.plan.plan import Plan
from labctl.render import names
from labctl.rig.reported import Process
from labctl.workloads.container import Container
from labctl.workloads.service import Service
from tests.host import gpu_layers, simulated_driver, simulated_gpus, tiny_gguf
from tests.host.deploying import Run, labctl
from tests.host.gpu_box import cards
from tests.host.hosts import ThrowawayHosts
from tests.host.image_registry import ImageRegistry, prepare
from tests.host.service_shapes import ANYTHING, ANYTHING_TAG
from tests.host.simulated_gpus import NEWER_DRIVER
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.description import uuid_of

JOB = "tune"
"""The one that is not started by an apply."""
# Of the host's RAM and disk the true programs take more than a machine for tests has.
_LITTLE = {"ram_mib": 256, "disk_mib": 64}
_HUB_MODEL, _AS_PUBLISHED = "qwen2.5-1.5b", "bf16"
_WORKLOADS: dict[str, dict[str, Any]] = {
    "chat": {"service": "llama.cpp", "context": tiny_gguf.CONTEXT_TOKENS, "parallel": 1},
    "fast": {"service": "vllm", "model": _HUB_MODEL, "quant": _AS_PUBLISHED, "context": 4096, "parallel": 2},
    "pull": {"service": "ollama", "vram_mib": 3072},
    "images": {"service": "comfyui", "vram_mib": 4608},
    "listen": {"service": "whisper", "model": "whisper-small", "quant": "fp16"},
    JOB: {
        "service": "axolotl",
        "model": _HUB_MODEL,
        "training": {"method": "qlora", "batch": 1, "sequence": 1024},
        "displaces": ["chat"],
        "when": "01:00-07:00",
    },
    "ui": {"service": "open-webui", "uses": ["chat", "fast", "pull", "images", "listen"]},
    "home": {"service": "home-assistant"},
    # What its companions take is counted with it.
    "files": {"service": "nextcloud", "expose": "files.home.example", "ram_mib": 1536},
    "site": {
        "service": "container",
        "image": f"{ANYTHING}:{ANYTHING_TAG}",
        "vram_mib": 512,
        "ports": [80],
        "volumes": {"pages": "/usr/share/nginx/html"},
    },
}
# Asks from the host itself, which is where a published port can be reached.
_GET = """
import json, sys, urllib.error, urllib.request
opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
answers = {}
for url in json.loads(sys.argv[1]):
    try:
        with opener.open(url, timeout=10) as reply:
            answers[url] = reply.read().decode()
    except urllib.error.HTTPError as error:
        answers[url] = f"{error.code} {error.read().decode()}"
    except OSError as error:
        answers[url] = str(error)
print(json.dumps(answers))
"""
_UNTIL = "for i in $(seq 1200); do {0} && exit; sleep 0.1; done; echo 'in vain: {0}' >&2; exit 1"


@dataclass
class EveryService:
    """The host, and the folder with its inventory, workloads file and plan; labctl with the digests of its images.

    timeout_s: of each of its commands.
    """

    host: ThrowawayHost
    registry: ImageRegistry
    folder: Path
    inventory: Path
    checkout: Path
    timeout_s: float = 600

    def __call__(self, command: str, *arguments: str | Path) -> Run:
        """Run labctl against the host."""
        words = (command, *arguments, "--inventory", self.inventory)
        return labctl(*words, checkout=self.checkout, timeout_s=self.timeout_s)

    @property
    def workloads(self) -> Path:
        """The workloads file."""
        return self.folder / "workloads.yaml"

    @property
    def plan_file(self) -> Path:
        """The plan that was made first."""
        return self.folder / "plan.json"

    @cached_property
    def plan(self) -> Plan:
        """That plan."""
        return read_plan(str(self.plan_file))

    @cached_property
    def services(self) -> Mapping[str, Service]:
        """The catalogue."""
        return {service.name: service for service in catalog.services()}

    @property
    def model(self) -> Path:
        """The one that is real, of a size for tests."""
        return self.folder / f"{tiny_gguf.NAME}.gguf"

    def apply(self, plan: Path) -> dict[str, Any]:
        """What became of the host; fails where it is not as planned in the end."""
        run = self("apply", plan, "--yes", "--json")
        assert run.exit_code == 0, run.stdout + run.stderr
        return run.host(self.host.name)

    def status(self) -> tuple[int, dict[str, Any], dict[str, dict[str, Any]]]:
        """The exit code of `labctl status`, its document of the host, and of each workload by name."""
        run = self("status", "--json")
        (host,) = run.document["hosts"]
        assert host["problem"] is None, host
        return run.exit_code, dict(host), {each["workload"]: each for each in host["workloads"]}

    def checks(self) -> tuple[int, dict[str, dict[str, Any]]]:
        """The exit code of `labctl verify`, and its checks of services by name."""
        run = labctl("verify", self.inventory, "--only", "workloads", "--json", checkout=self.checkout)
        return run.exit_code, {each["name"]: each for each in run.host(self.host.name)["checks"]}

    def failed(self) -> dict[str, str]:
        """The reasons of checks that failed, by name."""
        return {name: each["reason"] for name, each in self.checks()[1].items() if each["status"] == "failed"}

    def holding(self, more_mib: Mapping[str, int] | None = None) -> None:
        """Say that each running service holds of its cards what is expected, and some of them more."""
        by_card: dict[str, list[Process]] = {}
        for name, planned in self.plan.workloads.items():
            if name == JOB or not planned.cards:
                continue
            unit = names.unit(names.stem(name))
            pid = int(self.root(f"systemctl show --value -p MainPID {unit}"))
            for claim in planned.cards:
                held = claim.expected_mib + (more_mib or {}).get(name, 0)
                by_card.setdefault(claim.card, []).append(Process(pid, planned.service, held))
        there = cards()
        processes = {card.index: by_card.get(uuid_of(card.index), []) for card in there.cards}
        simulated_gpus.describe_to(self.host, there, processes, nodes=True, driver=NEWER_DRIVER)

    def letting_go(self) -> None:
        """Say that nobody holds anything of the cards."""
        simulated_gpus.describe_to(self.host, cards(), nodes=True, driver=NEWER_DRIVER)

    def boots_with(self, *indexes: int) -> None:
        """The host is started anew, and finds these cards alone."""
        some = tuple(
            replace(card, nvlink=tuple(peer for peer in card.nvlink if peer in indexes))
            for card in cards().cards
            if card.index in indexes
        )
        simulated_driver.next_boot_finds(self.host, replace(cards(), cards=some), loaded=NEWER_DRIVER)
        self.host.reboot()

    def wait_until(self, *commands: str) -> None:
        """Until each of these has succeeded on the host. A unit is active when its container is healthy."""
        for each in commands:
            self.root(_UNTIL.format(each))

    def running(self) -> dict[str, dict[str, Any]]:
        """Every container that runs, by name, as Podman inspects it."""
        found = self.root("podman ps --format '{{.Names}}'").split()
        listed = json.loads(self.root(f"podman inspect {' '.join(found)}")) if found else []
        return {str(each["Name"]): each for each in listed}

    def ids(self) -> dict[str, str]:
        """Of each container that runs; a new one has another."""
        return {name: str(found["Id"]) for name, found in self.running().items()}

    def get(self, *urls: str) -> dict[str, str]:
        """What the host hears at its own addresses."""
        return dict(json.loads(self.root(shlex.join(["python3", "-c", _GET, json.dumps(urls)]))))

    def url(self, workload: str, path: str = "/") -> str:
        """Of a workload's first port, as the host reaches it."""
        return f"http://127.0.0.1:{self.port(workload)}{path}"

    def port(self, workload: str) -> int:
        """The host's port that its first one is published at."""
        return self.plan.workloads[workload].ports[0].host

    def words(self) -> dict[str, str]:
        """By URL, what the catalogue says that only this service answers."""
        return {
            self.url(name, port.answers.path): port.answers.says
            for name, planned in self.plan.workloads.items()
            for port in self.services[planned.service].ports
            if port.answers
        }

    def containers(self, *workloads: str) -> dict[str, Container]:
        """Every container of these, or of all, by its name on the host."""
        found: dict[str, Container] = {}
        for name in workloads or self.plan.workloads:
            service = self.services[self.plan.workloads[name].service]
            found |= {names.stem(name, each, service): each for each in service.containers}
        return found

    def inside(self, container: str, *words: str) -> str:
        """What a command prints in a container."""
        return self.root(f"podman exec {container} {shlex.join(words)}")

    def root(self, command: str, *, check: bool = True) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.host.console_run(command, check=check, timeout_s=300).stdout.strip()


def boot_every_service(hosts: ThrowawayHosts, folder: Path) -> EveryService:
    """A host with cards for containers, and all that a plan of every service needs: images, model files, the plan.

    Nothing is applied yet.
    """
    host = hosts.boot("aibox", layer=gpu_layers.with_toolkit(hosts))
    registry = prepare(hosts, host)
    checkout = registry.checkout(folder / "labctl-with-digests-of-stand-ins")
    made = EveryService(host, registry, folder, gpu_layers.box_on(host, folder).inventory(), checkout)
    _bring_models(made)
    named = {each["service"] for each in _WORKLOADS.values()}
    # One that needs nothing said runs under its own name.
    others = {each.name: {"service": each.name} for each in catalog.services() if each.name not in named}
    workloads = {name: {**_LITTLE, **each} for name, each in (_WORKLOADS | others).items()}
    workloads["chat"]["model"] = str(made.model)
    made.workloads.write_text(json.dumps({"workloads": workloads}))  # which is YAML, too
    _done(made("place", made.workloads, "--out", made.plan_file))
    return made


def _bring_models(made: EveryService) -> None:
    """The small one, and a folder that stands in for what would come from the hub."""
    tiny_gguf.write_tiny_gguf(made.model)
    _done(made("models", "pull", made.model))
    stand_in = made.folder / "stand-in-model"
    stand_in.mkdir()
    (stand_in / "config.json").write_text('{"stand-in": true}\n')
    source = ("--quant", _AS_PUBLISHED, "--engine", "vllm", "--from", stand_in)
    _done(made("models", "pull", _HUB_MODEL, *source))


def _done(run: Run) -> None:
    assert run.exit_code == 0, run.stdout + run.stderr
