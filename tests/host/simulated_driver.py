"""A throwaway host with simulated cards on its PCI bus, and a kernel that loads a real driver's module: in name only.

The module is the one that dkms built for the headers that are installed. At every boot its version and flavour are
written where the driver would tell its own, as though the kernel had loaded it. The cards have device nodes with
nothing behind them; a container sees those cards that it was given the nodes of.
"""

from collections.abc import Sequence

from labctl.rig.rig import Host
from tests.host import simulated_gpus
from tests.host.throwaway_host import ThrowawayHost
from tests.simulated_nvml.description import uuid_of

# One of those that the kernel gives away as modules ask for them, and that nothing here has.
_UVM_MAJOR = 505
_FOLDER = "usr/local/lib/simulated-driver"
_UNIT = "simulated-driver.service"
_BOOT = """#!/bin/sh
bus=/run/simulated-pci modules=/run/simulated-proc-driver
mkdir -p $bus $modules
for slot in @slots@; do
  mkdir -p $bus/$slot; echo 0x10de >$bus/$slot/vendor; echo 0x2204 >$bus/$slot/device; echo 0x030000 >$bus/$slot/class
done
mkdir -p /run/simulated-nvml
for uuid in @lost@; do touch /run/simulated-nvml/$uuid.lost; done
for uuid in @hanging@; do touch /run/simulated-nvml/$uuid.hang; done
mount --bind $bus /sys/bus/pci/devices
mount --bind $modules /proc/driver
# The real driver's major number; no kernel driver answers behind it here.
n=0
for slot in @slots@; do [ -e /dev/nvidia$n ] || mknod -m 666 /dev/nvidia$n c 195 $n; n=$((n + 1)); done
[ -e /dev/nvidiactl ] || mknod -m 666 /dev/nvidiactl c 195 255
# Loading nvidia_uvm creates no node.
rm -f /dev/nvidia-uvm /dev/nvidia-uvm-tools
loaded() {
  mkdir -p $modules/nvidia; echo "NVRM version: NVIDIA UNIX x86_64 $1  $2  simulated" >$modules/nvidia/version
}
[ -z "@loaded@" ] || loaded "Kernel Module" "@loaded@"
for kernel in $(ls /lib/modules 2>/dev/null); do
  # By the file's name, which is the packager's own: nvidia.ko, nvidia-current.ko, nvidia-current-open.ko.
  file=$(find /lib/modules/$kernel -name 'nvidia*.ko*' | grep -E '/nvidia(-current(-open)?)?[.]ko' | head -n 1)
  [ -n "$file" ] || continue
  version=$(modinfo -F version $file)
  kind="Kernel Module"; case $(modinfo -F license $file) in *GPL*) kind="Open Kernel Module" ;; esac
  loaded "$kind" "$version"
done
# What the modules register, for all that goes by a driver's name; nvidia-uvm has no number until it is loaded.
if [ -e $modules/nvidia/version ]; then
  registered='195 nvidia\\n195 nvidiactl'
  [ -z "@loaded@" ] && ! grep -qsx nvidia_uvm /etc/modules-load.d/*.conf || registered="$registered\\n@uvm@ nvidia-uvm"
  sed "s/^Character devices:$/&\\n$registered/" /proc/devices >/run/simulated-proc-devices
  mount --bind /run/simulated-proc-devices /proc/devices
fi
"""
_BOOT_UNIT = f"""[Unit]
DefaultDependencies=no
After=local-fs.target
Before=sysinit.target
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh /{_FOLDER}/boot
[Install]
WantedBy=sysinit.target
"""
# The kernel gives nvidia_uvm a number when something asks for the module: here in name only, too, where it was built.
_UVM_UNIT = "modprobe@nvidia_uvm.service"
_UVM_LOADED = f"""[Unit]
ConditionCapability=
[Service]
ExecStart=
ExecStart=/bin/sh /{_FOLDER}/load-uvm
"""
_LOAD_UVM = """#!/bin/sh
devices=/run/simulated-proc-devices
[ -e $devices ] && modprobe -n -q nvidia_uvm && ! grep -q ' nvidia-uvm$' $devices || exit 0
registered=$(sed 's/^Character devices:$/&\\n@uvm@ nvidia-uvm/' $devices)
printf '%s\\n' "$registered" >$devices  # in place: it is mounted over the kernel's
"""
# The real daemon asks the loaded driver for its cards, and finds none. Where it ends, cards that nobody uses are put
# down and forget what they were told.
_PERSISTENCED = f"""[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=
ExecStart=/bin/true
ExecStop=-/bin/sh -c 'cd {simulated_gpus.STATE} && rm -f *.persistence *.power-limit *-lock-least *-lock-most'
"""
# A real card keeps what it is told in itself.
_STATE_ALLOWED = f"ReadWritePaths=-{simulated_gpus.STATE}\n"


def plug_in(host: ThrowawayHost, cards: Host, library: bytes, *, loaded: str = "", driver: str = "") -> None:
    """Put RTX 3090s on the bus of a host that is on, and the simulated library before the one that is to come.

    loaded: the version of a driver that is loaded though no module of it was ever built. driver: the version that the
    library says it is of; the one that is loaded, or Debian's own, unless said.
    """
    write(host, f"etc/systemd/system/{_UNIT}", _BOOT_UNIT)
    write(host, "etc/systemd/system/nvidia-persistenced.service.d/90-simulated.conf", _PERSISTENCED)
    write(host, "etc/systemd/system/labctl-.service.d/90-simulated.conf", f"[Service]\n{_STATE_ALLOWED}")
    write(host, f"etc/systemd/system/{_UVM_UNIT}.d/90-simulated.conf", _UVM_LOADED)
    write(host, f"{_FOLDER}/load-uvm", _LOAD_UVM.replace("@uvm@", str(_UVM_MAJOR)))
    write(host, "usr/local/lib/libnvidia-ml.so.1", library)
    next_boot_finds(host, cards, loaded=loaded, driver=driver)
    host.console_run(f"ldconfig; systemctl daemon-reload; systemctl enable --now {_UNIT}")


def next_boot_finds(
    host: ThrowawayHost,
    cards: Host,
    *,
    lost: Sequence[int] = (),
    hanging: Sequence[int] = (),
    loaded: str = "",
    driver: str = "",
) -> None:
    """The cards on the bus from the next boot on. lost: those, by index, that are there and do not answer.

    hanging: those that let everybody wait who asks for more than their names. loaded, driver: as in `plug_in`.
    """
    words = {
        "slots": " ".join(f"0000:{16 * (card.index + 1):02x}:00.0" for card in cards.cards),
        "lost": " ".join(map(uuid_of, lost)),
        "hanging": " ".join(map(uuid_of, hanging)),
        "loaded": loaded,
        "uvm": str(_UVM_MAJOR),
    }
    script = _BOOT
    for word, value in words.items():
        script = script.replace(f"@{word}@", value)
    write(host, f"{_FOLDER}/boot", script)
    simulated_gpus.describe_to(host, cards, nodes=True, driver=driver or loaded or simulated_gpus.DRIVER)


def write(host: ThrowawayHost, path: str, content: str | bytes, mode: int = 0o644) -> None:
    """A file on the host's disk, from outside."""
    target = host.machine.session.path(host.machine.disk.root) / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(content.encode() if isinstance(content, str) else content)
    target.chmod(mode)
