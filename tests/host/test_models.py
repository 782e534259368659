"""Model files on a real host, from a simulated hub: cut off, gone on with, verified, listed, removed; a full disk."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from labctl.render.model_place import place_of
from tests.host.converged import converged_layer
from tests.host.deploying import CHECKOUT, Run, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost
from tests.labctl.edges.hub_server import REPOSITORY, TOKEN, Hub, serving

pytestmark = pytest.mark.host

CONTENT = os.urandom(8 * 1024**2)
DIGEST = hashlib.sha256(CONTENT).hexdigest()
PLACE = place_of(REPOSITORY, "Q4_K_M", "llama.cpp")
FOLDER = "/srv/models"
_SLOWLY = 0.3  # seconds for each of 128 pieces
_UNITS = "systemctl list-units --plain --no-legend --all 'labctl-models-*'"


@dataclass
class Box:
    """The host, its inventory, and the hub that it reaches."""

    host: ThrowawayHost
    hub: Hub
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def arguments(self, *words: str, **data: object) -> list[str]:
        """Of a command; data: more of the inventory."""
        inventory = write_inventory(self.folder / "home.py", self.host, **data)
        return ["models", *words, "--inventory", str(inventory), "--json"]

    def models(self, *words: str, **data: object) -> Run:
        """Run it to its end."""
        return labctl(*self.arguments(*words, **data), env=self.environment)

    def begin(self, *words: str) -> subprocess.Popen[str]:
        """Start it, and wait until it follows the host and more than a megabyte of the model is there."""
        client = subprocess.Popen(
            [sys.executable, "-m", "labctl", *self.arguments(*words)],
            cwd=CHECKOUT,
            env={**os.environ, **self.environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert client.stderr is not None
        assert "fetching" in client.stderr.readline()
        part = f"{FOLDER}/{PLACE}.part/{PLACE.rsplit('/', 1)[-1]}.part"
        enough = f'[ "$(stat -c %s {part} 2>/dev/null || echo 0)" -gt 1000000 ]'
        self.root(f"for i in $(seq 300); do {enough} && exit; sleep 0.1; done; exit 1")
        return client

    def root(self, command: str) -> str:
        """What a command prints on the host, run by root from outside."""
        return self.host.console_run(command).stdout.strip()

    def outcomes(self, run: Run) -> dict[str, str]:
        """What became of each model."""
        [host] = run.document["hosts"]
        return {each["place"]: each["outcome"] for each in host["models"]}

    def errors(self, run: Run) -> list[str]:
        """What was in the way."""
        [host] = run.document["hosts"]
        told: list[Any] = [host["error"], *(each["error"] for each in host["models"])]
        return [each["message"] for each in told if each]


@pytest.fixture(scope="module")
def box(throwaway_hosts: ThrowawayHosts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    host = throwaway_hosts.boot("models", layer=converged_layer(throwaway_hosts))
    files = {"m-Q4_K_M.gguf": (CONTENT, len(CONTENT))}
    with serving(Hub(files, "gated", hashes=True), throwaway_hosts.session.subnet.laptop4) as hub:
        found = Box(host, hub, tmp_path_factory.mktemp("models"))
        found.environment |= {"HF_ENDPOINT": hub.url, "HF_TOKEN": TOKEN, "NO_PROXY": "*"}
        yield found
    throwaway_hosts.destroy(host)


def test_a_pull_outlives_its_client_and_a_kill_and_is_verified(box: Box) -> None:
    box.hub.slow_seconds = _SLOWLY
    client = box.begin("pull", REPOSITORY)
    client.kill()
    client.wait()
    assert "running" in box.root(_UNITS)
    assert box.root("ps -o user:20= -C python3 | sort -u") == "labctl-models"
    seen = (
        f"unit=$({_UNITS} | cut -d' ' -f1); systemctl show $unit; systemctl cat $unit; journalctl -b -a; "
        "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; cat /proc/[0-9]*/environ | tr '\\0' ' '; "
        f"grep -rs . /run/labctl /run/labctl-models /run/systemd/transient; cat {FOLDER}/*/*/*.json"
    )
    assert TOKEN not in box.root(f"({seen}) 2>/dev/null | grep -a hf_ || true")

    # Another client follows what runs; nothing is asked for twice.
    follower = box.begin("pull", REPOSITORY)
    box.root(f"systemctl kill --signal=KILL $({_UNITS} | cut -d' ' -f1)")
    output, _ = follower.communicate()
    assert follower.returncode == 1
    assert "before it was done" in output
    assert len([path for path, _ in box.hub.requests if path.endswith(".gguf")]) == 1
    assert box.models("list").document["hosts"][0]["models"][0]["whole"] is False

    box.hub.slow_seconds = 0
    assert box.outcomes(box.models("pull", REPOSITORY)) == {PLACE: "pulled"}
    gone_on_from = str(box.hub.requests[-1][1]).removeprefix("bytes=").removesuffix("-")
    assert int(gone_on_from) > 1_000_000
    assert box.root(f"sha256sum {FOLDER}/{PLACE}").split()[0] == DIGEST
    assert box.root(f"stat -c '%U %a' {FOLDER}/{PLACE}") == "labctl-models 644"
    assert box.root(f"find {FOLDER} -name '*.part'; ls /run/labctl/models/*.json 2>/dev/null || true") == ""

    asked = len(box.hub.requests)
    assert box.outcomes(box.models("pull", REPOSITORY)) == {PLACE: "there"}
    assert len(box.hub.requests) == asked


def test_what_is_whole_is_listed_and_removed(box: Box) -> None:
    box.models("pull", REPOSITORY)
    [host] = box.models("list").document["hosts"]
    [model] = [each for each in host["models"] if each["place"] == PLACE]
    assert (model["whole"], model["bytes"], model["units"]) == (True, len(CONTENT), [])
    assert model["source"].startswith(REPOSITORY)
    assert host["free_bytes"] > 0
    assert box.models("rm", PLACE, "--yes").exit_code == 0
    assert box.root(f"find {FOLDER} -type f -not -name .labctl.lock") == ""


def test_a_full_disk_is_told_and_room_lets_it_go_on(box: Box) -> None:
    small = {"models_folder": "/srv/small/models"}
    box.root("mkdir -p /srv/small && mount -t tmpfs -o size=4M small /srv/small")
    try:
        full = box.models("pull", REPOSITORY, **small)
        assert (full.exit_code, box.errors(full)) == (1, ["there is not enough room"])
        assert box.root("find /srv/small -name '*.gguf'") == ""
        box.hub.manner = "keeps quiet"  # nobody knows how much will come
        address = ("--from", f"{box.hub.url}/files/m-Q4_K_M.gguf", "--sha256", DIGEST)
        full = box.models("pull", "mine", *address, **small)
        assert (full.exit_code, box.errors(full)) == (1, ["the disk is full"])
        assert box.root("find /srv/small -name 'mine*.gguf'") == ""
        box.root("mount -o remount,size=32M /srv/small")
        asked = len(box.hub.requests)
        assert box.outcomes(box.models("pull", "mine", *address, **small)) == {
            "mine/mine-Q4_K_M.gguf": "pulled"
        }
        assert str(box.hub.requests[asked][1]) > "bytes=1000000"
        assert box.root("sha256sum /srv/small/models/mine/mine-Q4_K_M.gguf").split()[0] == DIGEST
    finally:
        box.hub.manner = "gated"
        box.root("umount /srv/small")


def test_files_come_over_ssh_and_from_the_host_itself_also_below_home(box: Box) -> None:
    mine = box.folder / "mine.gguf"
    mine.write_bytes(CONTENT)
    assert box.outcomes(box.models("pull", "mine", "--from", str(mine))) == {
        "mine/mine-Q4_K_M.gguf": "pulled"
    }
    assert box.root(f"sha256sum {FOLDER}/mine/mine-Q4_K_M.gguf").split()[0] == DIGEST
    box.root(
        f"install -m 600 {FOLDER}/mine/mine-Q4_K_M.gguf '/root/my kept.gguf'; install -d -m 700 /home/someone"
    )
    below = {"models_folder": "/home/someone/models"}
    copied = box.models("pull", "kept", "--from", "host:/root/my kept.gguf", **below)
    assert box.outcomes(copied) == {"kept/kept-Q4_K_M.gguf": "pulled"}, copied.stdout
    assert box.root("sha256sum /home/someone/models/kept/kept-Q4_K_M.gguf").split()[0] == DIGEST
    assert box.root("stat -c '%U %a' '/root/my kept.gguf'") == "root 600"
