"""The distribution's own nvidia-smi, unmodified, on simulated cards: `labctl gpus` and `labctl rig` over SSH."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from labctl.edges.rigs import read_rig
from labctl.rig.reported import Process
from labctl.rig.rig import Host
from tests.host import simulated_gpus
from tests.host.complaints import too_wide
from tests.host.deploying import CHECKOUT, labctl, write_inventory
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.description import uuid_of

pytestmark = pytest.mark.host

OURS = "labctl-chat.service"


@pytest.fixture(scope="module")
def cards() -> Host:
    """Two RTX 3090 with a bridge, limited to 280 W."""
    return read_rig(str(CHECKOUT / "workloads" / "rigs" / "dual-3090.yaml")).hosts[0]


@pytest.fixture(scope="module")
def aibox(
    throwaway_hosts: ThrowawayHosts, cards: Host, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ThrowawayHost]:
    host = throwaway_hosts.boot("gpus")
    simulated_gpus.plug_in(host, cards, tmp_path_factory.mktemp("nvml"))
    yield host
    throwaway_hosts.destroy(host)


@pytest.fixture
def inventory(aibox: ThrowawayHost, tmp_path: Path) -> Path:
    return write_inventory(tmp_path / "home.py", aibox)


def test_nvidia_smi_shows_the_cards(aibox: ThrowawayHost) -> None:
    assert aibox.run("nvidia-smi -L").stdout.count("RTX 3090") == 2
    table = aibox.run("nvidia-smi").stdout
    assert "280W" in table.replace(" ", "")
    assert "NV4" in aibox.run("nvidia-smi topo -m").stdout
    document = aibox.run("nvidia-smi -q -x").stdout
    assert "<serial>simulated</serial>" in document
    assert document.rstrip().endswith("</nvidia_smi_log>")


def test_our_own_services_are_told_from_others(aibox: ThrowawayHost, cards: Host, inventory: Path) -> None:
    """By the cgroups of real processes; only their memory on the card is made up."""
    aibox.run(f"systemd-run --quiet --unit={OURS} sleep 1h", sudo=True)
    aibox.run("systemd-run --quiet --unit=ollama.service sleep 1h", sudo=True)
    pids = [
        int(aibox.run(f"systemctl show --value -p MainPID {unit}").stdout)
        for unit in (OURS, "ollama.service")
    ]
    processes = [
        Process(pids[0], "/usr/bin/llama-server", 17_000),
        Process(pids[1], "ollama", 4_000),
    ]
    simulated_gpus.describe_to(aibox, cards, {0: processes})
    shown = labctl("gpus", "--inventory", f"{inventory}:{aibox.name}", "--json")
    assert shown.exit_code == 0, shown.stdout + shown.stderr
    (host,) = shown.document["hosts"]
    assert host["driver"] == simulated_gpus.DRIVER
    first = host["gpus"][0]
    assert (first["memory"]["ours_mib"], first["memory"]["foreign_mib"]) == (17_000, 4_000)
    assert [(each["unit"], each["ours"]) for each in first["processes"]] == [
        (OURS, True),
        ("ollama.service", False),
    ]
    assert first["nvlink"] == [1]
    text = labctl("gpus", "--inventory", inventory)
    assert f"in {OURS}" in text.stdout
    assert too_wide(text.stdout) == []
    simulated_gpus.describe_to(aibox, cards)


def test_the_rig_of_the_host_reads_back(aibox: ThrowawayHost, inventory: Path, tmp_path: Path) -> None:
    printed = labctl("rig", "--inventory", inventory)
    assert printed.exit_code == 0, printed.stderr
    saved = tmp_path / "rig.yaml"
    saved.write_text(printed.stdout)
    rig = read_rig(str(saved))
    assert rig.hosts[0].name == aibox.name
    assert [(card.gpu.name, card.id, card.nvlink) for card in rig.cards] == [
        ("rtx-3090", uuid_of(0), (1,)),
        ("rtx-3090", uuid_of(1), (0,)),
    ]


WORKLOADS = """\
workloads:
  chat: {service: container, image: example.org/chat:1, vram_mib: 9000, ports: [8080], apart_from: [images]}
  images: {service: container, image: example.org/images:1, vram_mib: 7000}
  ui: {service: open-webui, uses: [chat]}
"""


def test_a_plan_against_what_our_units_hold(
    aibox: ThrowawayHost, cards: Host, inventory: Path, tmp_path: Path
) -> None:
    """Real units in real cgroups; only their memory on the cards is made up."""
    plan, workloads = tmp_path / "plan.json", tmp_path / "workloads.yaml"
    workloads.write_text(WORKLOADS)
    simulated_gpus.describe_to(aibox, cards)
    placed = labctl("place", workloads, "--inventory", inventory, "--out", plan, "--json")
    assert placed.exit_code == 0, placed.stdout + placed.stderr
    on = {each["workload"]: each["gpus"] for each in placed.document["placements"]}
    number = {uuid_of(index): index for index in (0, 1)}
    pids = {}
    for name in ("chat", "images"):
        aibox.run(f"systemd-run --quiet --unit=labctl-{name}.service sleep 1h", sudo=True, check=False)
        pids[name] = int(aibox.run(f"systemctl show --value -p MainPID labctl-{name}.service").stdout)
    chat, images = (number[on[name][0]] for name in ("chat", "images"))

    def holding(**held: tuple[int, int]) -> dict[int, list[Process]]:
        """MiB and card, by workload."""
        found: dict[int, list[Process]] = {0: [], 1: []}
        for name, (amount, index) in held.items():
            found[index].append(Process(pids[name], "/usr/bin/python3", amount))
        return found

    simulated_gpus.describe_to(aibox, cards, holding(chat=(8800, chat), images=(6000, images)))
    same = labctl("diff", plan, "live", "--inventory", inventory, "--json")
    assert (same.exit_code, same.document["units"]) == (0, []), same.stdout + same.stderr
    assert same.document["not_seen"] == ["ui"]
    again = labctl("place", workloads, "--inventory", inventory, "--keep", plan, "--json")
    assert (again.exit_code, again.document["changes"]) == (0, [])
    simulated_gpus.describe_to(aibox, cards, holding(chat=(9100, images), images=(7001, images)))
    other = labctl("diff", plan, "live", "--inventory", inventory, "--json")
    assert other.exit_code == 3
    assert {(each["kind"], each["unit"]) for each in other.document["units"]} == {
        ("wrong_card", "labctl-chat.service"),
        ("silent", "labctl-chat.service"),
        ("above_claim", "labctl-images.service"),
    }
    text = labctl("diff", plan, "live", "--inventory", inventory)
    assert too_wide(text.stdout) == []
    aibox.run("systemctl stop labctl-chat.service labctl-images.service", sudo=True, check=False)
    simulated_gpus.describe_to(aibox, cards)


def test_a_limit_is_for_root_within_its_range_and_gone_after_a_reboot(
    aibox: ThrowawayHost, inventory: Path
) -> None:
    by_uuid = f"nvidia-smi -i {uuid_of(1)} -pl"
    assert aibox.run(f"{by_uuid} 250", check=False).returncode != 0
    assert aibox.run(f"{by_uuid} 900", sudo=True, check=False).returncode == 2
    aibox.run(f"{by_uuid} 250", sudo=True)
    assert limits(inventory) == [280, 250]
    aibox.run("nvidia-smi -pm 1", sudo=True)
    assert "Enabled" in aibox.run("nvidia-smi --query-gpu=persistence_mode --format=csv,noheader").stdout
    aibox.reboot()
    assert limits(inventory) == [280, 280]


def limits(inventory: Path) -> list[int]:
    (host,) = labctl("gpus", "--inventory", inventory, "--json").document["hosts"]
    return [gpu["power"]["limit_watts"] for gpu in host["gpus"]]


def test_a_lost_card_and_an_updated_driver(aibox: ThrowawayHost, inventory: Path) -> None:
    state = simulated_gpus.STATE
    aibox.run(f"mkdir -p {state} && touch {state}/{uuid_of(1)}.lost", sudo=True)
    shown = labctl("gpus", "--inventory", inventory, "--json")
    assert shown.exit_code == 1
    (host,) = shown.document["hosts"]
    assert [gpu["id"] for gpu in host["gpus"]] == [uuid_of(0)]
    assert "GPU is lost" in host["problems"][0]
    aibox.run(f"rm {state}/*.lost && touch {state}/driver.mismatch", sudo=True)
    shown = labctl("gpus", "--inventory", inventory)
    assert shown.exit_code == 1
    assert "reboot that machine" in " ".join(shown.stdout.split())
    aibox.run(f"rm {state}/driver.mismatch", sudo=True)


def test_a_host_that_does_not_answer_is_named(inventory: Path, tmp_path: Path) -> None:
    both = tmp_path / "both.py"
    both.write_text(
        inventory.read_text().replace(
            "hosts = [", "hosts = [('gone', {'ssh_hostname': '127.0.0.1', 'ssh_port': 1}), "
        )
    )
    shown = labctl("gpus", "--inventory", both, "--json")
    assert shown.exit_code == 1
    gone, here = shown.document["hosts"]
    assert "SSH" in gone["problems"][0]
    assert (gone["gpus"], len(here["gpus"])) == ([], 2)
