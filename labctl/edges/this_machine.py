"""What this machine is, without its cards: the script that is sent to others, run here."""

import subprocess

from labctl.rig.host_report import HOST_SCRIPT, HostReport, host_report, sections


def machine_report() -> HostReport:
    """Memory, processors and disk of this machine; what cannot be read is None."""
    done = subprocess.run(
        ["sh", "-c", HOST_SCRIPT], capture_output=True, text=True, check=False, timeout=60, errors="replace"
    )
    return host_report(sections(done.stdout))
