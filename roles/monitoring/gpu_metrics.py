"""The cards' metrics: a timer, a script that asks nvidia-smi, and a file that the node exporter reads."""

from __future__ import annotations

from collections.abc import Iterator

from labctl.edges.templates import render
from labctl.hoststate.condition import Condition
from labctl.hoststate.files import File, Files
from labctl.hoststate.resource import Resource
from labctl.hoststate.units import Unit
from labctl.rig.host_report import asking
from roles.monitoring.metrics import FIELDS, METRICS, REASONS

STEM = "labctl-gpu-metrics"
SERVICE, TIMER = f"{STEM}.service", f"{STEM}.timer"
SCRIPT = "/usr/local/lib/labctl/gpu-metrics"
SERVICE_FILE, TIMER_FILE = f"/etc/systemd/system/{SERVICE}", f"/etc/systemd/system/{TIMER}"
FILE = f"/run/{STEM}/gpu.prom"
# Where Debian's exporter looks, and other things' metrics are; only root may write there.
LINK = "/var/lib/prometheus/node-exporter/labctl-gpu.prom"
PATHS = (SCRIPT, SERVICE_FILE, TIMER_FILE)


def script(file: str = FILE) -> str:
    """The program that writes `file`."""
    ask = asking('--query-gpu="$fields" --format=csv,noheader,nounits')
    return render(
        __file__, "gpu-metrics", file=file, fields=FIELDS, metrics=METRICS, reasons=REASONS, ask=ask.strip()
    )


def gpu_metrics(every_seconds: int) -> Iterator[Resource]:
    """Of a host with cards, once the exporter's package is there: its user runs the script."""
    service = File(SERVICE_FILE, render(__file__, SERVICE, script=SCRIPT))
    timer = File(TIMER_FILE, render(__file__, TIMER, every_seconds=every_seconds))
    program = File(SCRIPT, script(), mode="755")
    yield Files("GPU metrics files", (program, service, timer))
    yield Condition(
        "GPU metrics beside the others",
        probe=f"readlink {LINK}",
        wanted=FILE,
        problem=f"{LINK} does not lead to the GPU metrics",
        apply=f"ln -sfn {FILE} {LINK}",
    )
    yield Unit("GPU metrics timer", TIMER, reads=(timer, service, program))


def no_gpu_metrics() -> Iterator[Resource]:
    """Nothing of it, where there are no cards or nobody asks."""
    yield Condition(
        "GPU metrics stopped",
        probe=f"[ -e {TIMER_FILE} ] || [ -L {LINK} ] && echo there; true",
        wanted="",
        problem="GPU metrics are written, and nobody asks for them",
        apply=f"systemctl disable --now {TIMER} 2>/dev/null || true\n"
        f"systemctl stop {SERVICE} 2>/dev/null || true\n"
        f"systemctl reset-failed {SERVICE} 2>/dev/null || true\n"  # stopped at work, it counts as failed for good
        f"rm -rf {LINK} /run/{STEM}",
    )
    yield Files("no GPU metrics files", tuple(File(path, None) for path in PATHS))
