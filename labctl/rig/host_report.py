"""One shell script that tells everything a rig says of a machine, and its answer as values."""

import re
from dataclasses import dataclass

_MARK = "@@labctl "
# Where containers, volumes and models are kept.
_DATA = "/var/lib"

HOST_SCRIPT = rf"""
export LC_ALL=C
section() {{ printf '\n{_MARK}%s\n' "$1"; }}
section name; uname -n
section meminfo; cat /proc/meminfo
section lscpu; lscpu 2>/dev/null
section disk; df -Pk {_DATA} 2>/dev/null
section modules; [ "$(id -u)" != 0 ] || dmidecode -t 17 2>/dev/null
section end
"""

# A card whose firmware hangs (Xid 119) lets every program wait that asks for it; eight sleeping cards answer in less.
ANSWER_SECONDS = 20
NVIDIA_SMI = f"timeout -k 5 {ANSWER_SECONDS} nvidia-smi"
"""nvidia-smi (sh) that ends with 124 or 137 where a card hangs."""
HANGS = f"No answer for {ANSWER_SECONDS} s: it hangs"
"""What is said of such a card."""
MOST_HANGING = 3
"""Where so many numbers hang one after another, it is the driver, and nobody waits for all 32 of them."""


def asking(question: str) -> str:
    """A script (sh) that prints what nvidia-smi says to `question`; `report` keeps it, `status` is its exit status.

    nvidia-smi gives up on all cards when one is lost, and waits for one that hangs; so it is then asked card by card,
    until there is none. A card that hangs is told of in the words that nvidia-smi has for a lost one.
    """
    return rf"""
if command -v nvidia-smi >/dev/null; then
  report=$({NVIDIA_SMI} {question} 2>&1); status=$?
else
  report="nvidia-smi: not found" status=127
fi
case $status in 124 | 137) report= ;; esac
case $status:$report in
124:* | 137:* | *"determine the device handle"*)
  card=0 hanging=0
  while [ $card -lt 32 ] && [ $hanging -lt {MOST_HANGING} ]; do
    one=$({NVIDIA_SMI} {question} -i $card 2>&1)
    case $? in
    124 | 137) one="Unable to determine the device handle for GPU$card: {HANGS}" hanging=$((hanging + 1)) ;;
    *) hanging=0 ;;
    esac
    case $one in *"No devices were found"*) break ;; esac
    report="$report
$one"
    card=$((card + 1))
  done ;;
esac
printf '%s\n' "$report"
"""


NVIDIA_SCRIPT = rf"""
section nvidia-smi{asking("-q -x")}section status; echo "$status"
section capabilities; {NVIDIA_SMI} --query-gpu=pci.bus_id,compute_cap --format=csv,noheader 2>/dev/null
section topology; {NVIDIA_SMI} topo -m 2>/dev/null
section cgroups
for pid in $(printf '%s' "$report" | sed -n 's,.*<pid>\([0-9]*\)</pid>.*,\1,p' | sort -u); do
  echo "pid $pid"; cat "/proc/$pid/cgroup" 2>/dev/null
done
section end
"""
SCRIPT = HOST_SCRIPT + NVIDIA_SCRIPT


@dataclass(frozen=True)
class HostReport:
    """One machine without its cards. None: not known. disk: the file system of /var/lib."""

    name: str
    ram_mib: int | None = None
    available_mib: int | None = None
    cpu_model: str | None = None
    sockets: int = 1
    cores: int | None = None
    memory_bandwidth_gbs: float | None = None
    disk_gib: int | None = None
    disk_free_gib: int | None = None


def sections(output: str) -> dict[str, str]:
    """The parts of the script's output by name."""
    parts = re.split(rf"^{_MARK}([\w-]+)$", output, flags=re.MULTILINE)
    return {name: text.strip("\n") for name, text in zip(parts[1::2], parts[2::2], strict=True)}


def host_report(parts: dict[str, str]) -> HostReport:
    """The machine, from the sections of `HOST_SCRIPT`."""
    memory = dict(re.findall(r"^(\w+):\s+(\d+) kB$", parts.get("meminfo", ""), re.MULTILINE))
    cpu = dict(re.findall(r"^([^:\n]+):[ \t]+(.*)$", parts.get("lscpu", ""), re.MULTILINE))
    sockets = max(1, _count(cpu.get("Socket(s)")) or 1)
    per_socket = _count(cpu.get("Core(s) per socket"))
    size, free = _disk(parts.get("disk", ""))
    return HostReport(
        name=parts.get("name", "").strip() or "localhost",
        ram_mib=_kib(memory.get("MemTotal")),
        available_mib=_kib(memory.get("MemAvailable")),
        cpu_model=_plain_cpu(cpu.get("Model name")),
        sockets=sockets,
        cores=per_socket * sockets if per_socket else None,
        memory_bandwidth_gbs=module_bandwidth_gbs(parts.get("modules", "")),
        disk_gib=size,
        disk_free_gib=free,
    )


def cgroups(text: str) -> dict[int, str]:
    """/proc/PID/cgroup of each process in the section `cgroups`."""
    parts = re.split(r"^pid (\d+)$", text, flags=re.MULTILINE)
    return {int(pid): lines.strip("\n") for pid, lines in zip(parts[1::2], parts[2::2], strict=True)}


def module_bandwidth_gbs(dmidecode: str) -> float | None:
    """What the memory modules carry together, GB/s: channels × transfers a second × bytes a transfer.

    From `dmidecode -t 17`, which only root may read. None where the slots' names do not tell the channels apart, since
    two modules of one channel share it.
    """
    channels: dict[str, float] = {}
    for block in dmidecode.split("Memory Device\n"):
        fields = dict(re.findall(r"^\s*([\w ]+):[ \t]*(.*)$", block, re.MULTILINE))
        if not re.match(r"\d+ [MGT]i?B", fields.get("Size", "")):
            continue
        speed = re.match(r"(\d+) MT/s", fields.get("Configured Memory Speed", ""))
        bits = re.match(r"(\d+) bits", fields.get("Data Width", "64 bits"))
        channel = _channel(fields.get("Locator", ""), fields.get("Bank Locator", ""))
        if not (speed and bits and channel):
            return None
        gbs = int(speed[1]) / 1000 * int(bits[1]) / 8
        channels[channel] = min(gbs, channels.get(channel, gbs))
    return round(sum(channels.values()), 1) if channels else None


def _channel(locator: str, bank: str) -> str | None:
    """Controller and channel of a slot, by the words that boards use: `ChannelA-DIMM0`, `DIMM_A1`, `CPU1_DIMM_B2`."""
    for name in (f"{bank} {locator}", locator):
        lettered = re.search(r"(?:CHANNEL|CHAN|DIMM)[ _-]?([A-P])(?![A-Z])", name, re.IGNORECASE)
        if lettered:
            of = re.search(r"(?:CPU|NODE|PROC|CONTROLLER|P)[ _-]?(\d)", name, re.IGNORECASE)
            return f"{of[1] if of else 0}{lettered[1].upper()}"
    return None


def _plain_cpu(model: str | None) -> str | None:
    """`Intel(R) Xeon(R) CPU E5-2680 v4 @ 2.40GHz` as people write it."""
    if not model or model == "-":
        return None
    words = re.sub(r"\((R|TM|tm)\)|\bCPU\b|@.*$", " ", model).split()
    return " ".join(words) or None


def _disk(df: str) -> tuple[int | None, int | None]:
    lines = [line.split() for line in df.splitlines()[1:]]
    if not lines or len(lines[-1]) < 6 or not (lines[-1][1].isdecimal() and lines[-1][3].isdecimal()):
        return None, None
    return int(lines[-1][1]) // 2**20, int(lines[-1][3]) // 2**20


def _kib(text: str | None) -> int | None:
    return int(text) // 1024 if text else None


def _count(text: str | None) -> int | None:
    return int(text) if text and text.strip().isdecimal() else None
