"""What a host says of itself, by the script itself on this machine, and by what it prints elsewhere."""

import os
import subprocess
from pathlib import Path

import pytest

from labctl.apply.foreign import Container
from labctl.apply.survey import Card, CardUser, parse
from labctl.apply.survey_script import SCRIPT
from labctl.errors import Failed
from labctl.transaction.decision import FileSeen

SAID = """
@@labctl name
aibox

@@labctl podman
podman version 5.4.2

@@labctl cores
8

@@labctl time-zone
Europe/Berlin

@@labctl devices
/dev
/dev/null

@@labctl secrets
chat-key
x

@@labctl cards
GPU-1, 24576, 580.95.05
GPU-2, [N/A], 580.95.05
Unable to determine the device handle

@@labctl card-users
GPU-1, 77, /usr/local/bin/ollama, 9000
GPU-1, 78, python3, [N/A]

@@labctl cdi
GPU-1

@@labctl listeners

@@labctl cgroups
pid 77
0::/system.slice/ollama.service
pid 78
0::/system.slice/labctl-chat.service/libpod-payload-1

@@labctl containers

@@labctl ours
0ab labctl-chat

@@labctl card-services
active
inactive
inactive
inactive
inactive

@@labctl units
labctl-chat.service loaded active running chat
labctl-chat-network.service loaded active exited network

@@labctl installed
600 /etc/containers/systemd/labctl/labctl-chat.container
644 /etc/systemd/system/labctl-firewall.service
644 /etc/systemd/system/ssh.service

@@labctl sums
{a}  /etc/containers/systemd/labctl/labctl-chat.container
{a}  /etc/systemd/system/labctl-firewall.service
{a}  /etc/systemd/system/ssh.service

@@labctl status
{{"current": 2, "running": null}}

@@labctl generation

@@labctl end
""".format(a="a" * 64)


def test_all_of_it_is_read() -> None:
    seen = parse(SAID)
    assert seen.devices == {"/dev", "/dev/null"}
    assert (seen.name, seen.podman, seen.cores, seen.time_zone) == (
        "aibox",
        "podman version 5.4.2",
        8,
        "Europe/Berlin",
    )
    assert seen.secrets == {"chat-key", "x"}
    assert seen.cards == (Card("GPU-1", 24576, "580.95.05"), Card("GPU-2", None, "580.95.05"))
    assert seen.card_users == (
        CardUser("GPU-1", 77, "ollama", 9000, "ollama.service", ours=False),
        CardUser("GPU-1", 78, "python3", None, "labctl-chat.service", ours=True),
    )
    assert seen.described == {"GPU-1"}
    assert seen.card_services == ("ollama.service",)
    assert seen.containers == (Container("labctl-chat", ours=True, id="0ab"),)
    assert seen.up == {"labctl-chat.service", "labctl-chat-network.service"}
    assert seen.installed == {
        "units/labctl-chat.container": FileSeen("a" * 64, "600"),
        "systemd/labctl-firewall.service": FileSeen("a" * 64, "644"),
    }
    assert seen.status == {"current": 2, "running": None}
    assert (seen.running, seen.generation) == (None, None)


def test_half_an_answer_is_none() -> None:
    with pytest.raises(Failed, match="did not say what runs"):
        parse(SAID.partition("@@labctl containers")[0])


def test_the_script_runs_where_nothing_of_ours_is() -> None:
    done = subprocess.run(["sh", "-c", SCRIPT], capture_output=True, text=True, check=False, timeout=120)
    seen = parse(done.stdout)
    assert (done.stderr, seen.cores is not None) == ("", True)
    assert seen.name


# What `podman ps` prints, and the questions that Podman is asked.
_PODMAN = r"""#!/bin/sh
echo "$*" >>"$0.asked"
case "$1 $2" in
"ps --no-trunc") printf '%s\n' '0a labctl-chat chat' '0b labctl-mine ' '0c shop shop' '0d labctl_shop x' ;;
"container inspect") shift 2; for each; do echo "[{\"Name\": \"$each\"}]"; done ;;
"--version ") echo podman version 5.4.2; sleep 1 ;;
esac
"""


def test_of_containers_of_ours_no_more_is_asked_than_their_names(tmp_path: Path) -> None:
    podman = tmp_path / "podman"
    podman.write_text(_PODMAN)
    podman.chmod(0o755)
    done = subprocess.run(
        ["sh", "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}"},
    )
    seen = parse(done.stdout)
    assert seen.podman == "podman version 5.4.2"
    assert [(each.name, each.ours) for each in seen.containers if each.id or each.name.startswith("0")] == [
        ("labctl-chat", True),
        ("0b", False),
        ("0c", False),
        ("0d", False),
    ]
    asked = Path(f"{podman}.asked").read_text().splitlines()
    assert [each.split()[0] for each in sorted(asked)] == ["--version", "container", "ps", "secret"]
