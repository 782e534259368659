"""Does Podman run services as the inventory says? Asked of Podman itself, and tried with a unit and a container."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, output_of
from roles.podman.deploy import LEAST_VERSION, LOGINS, PRUNE_UNIT
from roles.podman.settings import PodmanSettings

_GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"
# One of each kind of key that services need; Quadlet refuses a unit with a key that it does not know.
_PROBE_UNIT = """[Container]
Image=localhost/probe:1
ContainerName=probe
AddDevice=nvidia.com/gpu=0
Environment=A=b
PublishPort=8080:8080
Volume=/srv/probe:/data
HealthCmd=true
Network=host
[Service]
Restart=always
[Install]
WantedBy=default.target
"""
_DRY_RUN = f"""set -eu
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
printf %s {shlex.quote(_PROBE_UNIT)} >"$folder/probe.container"
QUADLET_UNIT_DIRS="$folder" {_GENERATOR} --dryrun
"""
# A container without an image: its root is an empty folder into which the host's /usr is mounted. It asks the resolver
# of a network of its own for its own name; --no-hosts, or it would find that in a file.
_RESOLVE = """set -eu
name=labctl-check-$$
root=$(mktemp -d)
trap 'podman network rm -f -t 0 "$name" >/dev/null 2>&1 || true; rm -rf "$root"' EXIT
mkdir "$root/usr" "$root/etc" "$root/proc" "$root/sys" "$root/dev" "$root/run" "$root/tmp"
for link in bin sbin lib lib64; do [ ! -L "/$link" ] || cp -P "/$link" "$root/$link"; done
podman network create "$name" >/dev/null
podman run --rm --name "$name" --network "$name" --no-hosts --volume /usr:/usr:ro --rootfs "$root" \\
  timeout 10 getent hosts "$name" || { echo "its resolver does not answer (exit status $?)" >&2; exit 1; }
"""


@pytest.fixture(scope="module")
def info(host: Host) -> Any:
    """What Podman says of itself, from all of its configuration files."""
    return json.loads(output_of(host, "podman info --format json"))


@explained(
    Explanation(
        "This Podman is older than what runs services from unit files.",
        "`apt-cache policy podman` shows where it comes from: remove that source, or move the host to "
        "Debian 13 or Ubuntu 24.04.",
    ),
)
def test_version(host: Host) -> None:
    """Podman is recent enough for Quadlet"""
    found = output_of(host, "podman version --format '{{.Client.Version}}'")
    enough = host.run("dpkg --compare-versions %s ge %s", found, LEAST_VERSION)
    assert enough.rc == 0, f"Podman is {found}, older than {LEAST_VERSION}"


@explained(
    Explanation(
        "Podman's generator makes no service of a unit file: part of the package is missing or was changed.",
        "`sudo apt-get install --reinstall podman` on the host, then `labctl deploy --only podman`.",
    ),
)
def test_quadlet(host: Host) -> None:
    """Quadlet makes a service of a unit"""
    done = host.run(_DRY_RUN)
    assert done.rc == 0, f"{_GENERATOR} refuses a unit: {_last_line(done.stderr)}"
    assert "---probe.service---" in done.stdout, (
        f"{_GENERATOR} makes no service of a unit: {_last_line(done.stderr)}"
    )
    starts = [line for line in done.stdout.splitlines() if line.startswith("ExecStart=")]
    assert len(starts) == 1, f"the service made of a unit has {len(starts)} ExecStart lines, not one"
    assert "nvidia.com/gpu=0" in starts[0], f"the service loses its device: {starts[0]}"


@explained(
    Explanation(
        "Podman was first used with another storage driver, and keeps to it.",
        "`sudo podman system reset` starts afresh and deletes every container, image and volume: save "
        "what you need first.",
        says="storage driver",
    ),
    Explanation(
        "Podman keeps its images in another place than the inventory says.",
        "`labctl deploy --only podman` writes its storage.conf.",
    ),
)
def test_storage(info: Any, settings: PodmanSettings) -> None:
    """images and volumes lie where asked"""
    found = info["store"]["graphRoot"]
    assert found == settings.storage, f"Podman's storage is {found}, not {settings.storage}"
    driver = info["store"]["graphDriverName"]
    assert driver == "overlay", (
        f"Podman's storage driver is {driver}, not overlay: every container would be a copy"
    )


@explained(
    Explanation(
        "Another file in /etc/containers/registries.conf.d overrides the registries of the inventory.",
        "Remove it, or put what it says into the inventory, then `labctl deploy --only podman`.",
    ),
)
def test_registries(info: Any, settings: PodmanSettings) -> None:
    """registries and mirrors are those asked for"""
    search = info["registries"].get("search") or []
    wanted = list(settings.search_registries)
    assert search == wanted, (
        f"short names are looked for in {', '.join(search) or 'nothing'}, not {', '.join(wanted)}"
    )
    for one in settings.mirrors:
        mirrors = (info["registries"].get(one.registry) or {}).get("Mirrors") or []
        found = [(mirror["Location"], mirror["Insecure"]) for mirror in mirrors]
        assert (one.mirror, one.insecure) in found, (
            f"mirrors of {one.registry} are {found}, without {one.mirror}"
        )


@explained(
    Explanation(
        "The logins of registries on the host are not those of the inventory, or others may read them.",
        "`labctl deploy --only podman` writes them anew.",
    ),
)
def test_logins(host: Host, settings: PodmanSettings) -> None:
    """registry logins are those asked for, for root alone"""
    if not settings.logins:
        left = host.run("test -e %s", LOGINS)
        assert left.rc != 0, f"{LOGINS} is there and the inventory has no login"
        return
    mode = output_of(host, "stat -c '%%a %%U' %s", LOGINS)
    assert mode == "600 root", f"{LOGINS} is {mode}, not 600 root"
    for login in settings.logins:
        found = host.run("podman login --get-login %s", login.registry).stdout.strip()
        assert found == login.username, (
            f"Podman's login for {login.registry} is {found or 'none'}, not {login.username}"
        )


@explained(
    Explanation(
        "Another file in /etc/containers/containers.conf.d sends the containers' logs elsewhere, where "
        "nothing bounds them.",
        "Remove its log_driver, then `labctl deploy --only podman`.",
    ),
)
def test_logs(info: Any) -> None:
    """containers log to the journal"""
    found = info["host"]["logDriver"]
    assert found == "journald", f"containers log to {found}, not journald"


@explained(
    Explanation(
        "The last removal of old images failed, so the disk fills up.",
        "`journalctl -u labctl-prune-images` says why.",
        says="the last run",
    ),
    Explanation(
        "The timer that removes old images was switched off or changed.",
        "`labctl deploy --only podman` switches it on.",
    ),
)
def test_pruning(host: Host, settings: PodmanSettings) -> None:
    """old images are looked for as often as asked"""
    timer = f"{PRUNE_UNIT}.timer"
    enabled = host.run("systemctl is-enabled %s", timer).stdout.strip() or "not there"
    active = host.run("systemctl is-active %s", timer).stdout.strip()
    assert (enabled, active) == ("enabled", "active"), (
        f"{timer} is {enabled} and {active}, not enabled and active"
    )
    calendar = output_of(host, "systemctl show -p TimersCalendar --value %s", timer)
    wanted = output_of(host, "systemd-analyze calendar %s", settings.prune)
    normalized = next(line.partition(":")[2].strip() for line in wanted.splitlines() if "Normalized" in line)
    assert f"OnCalendar={normalized} " in calendar, f"{timer} runs at {calendar}, not {normalized}"
    result = output_of(host, "systemctl show -p Result --value %s", f"{PRUNE_UNIT}.service")
    assert result == "success", f"the last run of {PRUNE_UNIT}.service ended with {result}"


@explained(
    Explanation(
        "Containers get no answer from Podman's own resolver: a firewall stops them, or it does not run.",
        "`labctl deploy --only firewall,podman`, then restart the services with that trouble.",
    ),
)
def test_names_in_containers(host: Host) -> None:
    """containers resolve names"""
    done = host.run(_RESOLVE)
    assert done.rc == 0, f"a container in a network of its own cannot: {_last_line(done.stderr)}"


def _last_line(text: str) -> str:
    return (text.strip() or "no output").splitlines()[-1]
