"""The cards as devices for containers (CDI), by UUID: an index moves when a card is added or fails."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.pyinfra_roles import role
from labctl.edges.templates import render
from labctl.hoststate.condition import Condition
from labctl.hoststate.facts import HostFacts
from labctl.hoststate.files import File, Files
from labctl.hoststate.packages import Packages
from labctl.hoststate.resource import Resource
from labctl.hoststate.signed_repository import SignedRepository
from labctl.rig.host_report import NVIDIA_SMI
from labctl.transaction.layout import TARGET
from roles.container_toolkit.settings import ContainerToolkitSettings
from roles.nvidia_driver.answering import ANSWERING, UUID
from roles.nvidia_driver.decided import not_here
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_driver.module import OnceLoaded
from roles.nvidia_driver.settings import DEFAULTS, NvidiaDriverSettings

# nvidia-ctk alone: the runtime and its hook, which the rest brings, lose cards at `systemctl daemon-reload`.
PACKAGE = "nvidia-container-toolkit-base"
REPOSITORY = "https://nvidia.github.io/libnvidia-container/stable/deb/amd64/"
KEY = "https://nvidia.github.io/libnvidia-container/gpgkey"
# The key of NVIDIA's open source projects, DDCAE044F796ECB0. Read in other people's set-ups, not on NVIDIA's site.
FINGERPRINT = "C95B321B61E88C1809C4F759DDCAE044F796ECB0"
CDI = "/etc/cdi/nvidia.yaml"
UNIT = "labctl-cdi.service"
UNIT_FILE = f"/etc/systemd/system/{UNIT}"
# The toolkit's own since 1.18: it writes the same devices by index, to where they would hide ours.
OTHERS = ("nvidia-cdi-refresh.path", "nvidia-cdi-refresh.service")
# What they write outlives them until the next boot.
OTHERS_CDI = "/run/cdi/nvidia.yaml"
PROGRAM = "/usr/local/lib/labctl/describe-cards"
_DESCRIBED = f"grep -E '^ *(- )?\\\"?name\\\"?: ' {CDI} 2>/dev/null | grep -oE '{UUID}' | sort"
UVM = "/dev/nvidia-uvm"
# Whether there can be one: the module is loaded, or could be. Not in a container whose host never loaded it.
UVM_WANTED = "{ grep -q ' nvidia-uvm$' /proc/devices || modprobe -n -q nvidia_uvm 2>/dev/null; }"
_UVM_DESCRIBED = f"{{ [ -c {UVM} ] && grep -qE 'path: \"?{UVM}\"?$' {CDI}; }}"
# Until the driver is loaded there is nothing to describe. Libraries are mounted by names that carry its version.
# A card that is described and does not answer is nobody's loss: one that hangs cannot be described anew, either.
_CURRENT = f"""[ -e /proc/driver/nvidia/version ] || {{ echo current; exit; }}
version=$(grep '^NVRM version:' /proc/driver/nvidia/version | grep -oE '[0-9]{{3}}\\.[0-9][0-9.]*' | head -n 1)
listed=$({ANSWERING})
[ -n "$listed" ] || exit 0
if {UVM_WANTED}; then {_UVM_DESCRIBED} || exit 0; fi
[ -z "$(echo "$listed" | grep -vxF "$({_DESCRIBED})")" ] && grep -qF "libcuda.so.$version" {CDI} && echo current"""
_OTHERWISE = f"""{{
  if {UVM_WANTED} && ! {_UVM_DESCRIBED}
  then echo 'labctl: there is no {UVM}, or nvidia-ctk does not describe it: CUDA would find no card' >&2
  else echo 'labctl: nvidia-ctk describes other cards than nvidia-smi lists' >&2
  fi; exit 1; }}"""


@role("container_toolkit", ContainerToolkitSettings, nvidia_driver)
def container_toolkit(
    settings: ContainerToolkitSettings,
    facts: HostFacts,
    driver: NvidiaDriverSettings = DEFAULTS,
) -> Iterator[Resource]:
    """The toolkit, a unit that describes the cards at every boot, and the description as it is now."""
    if not settings.manage or not_here(driver, facts):
        return
    mirror = settings.repository
    yield SignedRepository(
        "repository",
        "container-toolkit",
        mirror.url if mirror else REPOSITORY,
        mirror.key_url if mirror else KEY,
        mirror.fingerprint if mirror else FINGERPRINT,
    )
    yield Packages("packages", (PACKAGE,))
    program = File(
        PROGRAM, render(__file__, "describe-cards", answering=ANSWERING, nvidia_smi=NVIDIA_SMI), mode="755"
    )
    unit = File(UNIT_FILE, render(__file__, UNIT, cdi=CDI, program=PROGRAM, target=TARGET))
    yield Files("boot unit file", (program, unit))
    yield Condition(
        "boot unit",
        probe=f"systemctl is-enabled {UNIT}; for u in {' '.join(OTHERS)}; do systemctl is-enabled $u; done\n"
        f"[ ! -e {OTHERS_CDI} ] || echo {OTHERS_CDI}",
        wanted="enabled masked masked",
        problem=f"{UNIT} is not enabled, or the toolkit's own is not masked, or left {OTHERS_CDI}",
        apply=f"systemctl daemon-reload\nsystemctl mask --now {' '.join(OTHERS)} 2>/dev/null\nrm -f {OTHERS_CDI}\n"
        f"systemctl enable {UNIT}",
    )
    yield OnceLoaded(
        "CDI devices",
        probe=_CURRENT,
        wanted="current",
        problem=f"{CDI} does not describe the cards and the driver that are there",
        apply=f"systemctl daemon-reload\nsystemctl reset-failed {UNIT} 2>/dev/null || true\n"
        f"systemctl restart {UNIT} || {{ journalctl -q -n 5 -o cat -u {UNIT} >&2; exit 1; }}\n"
        f'[ "$({_CURRENT})" = current ] || {_OTHERWISE}',
    )
