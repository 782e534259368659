"""Is the toolkit CUDA 12, for who logs in, and does it stay that?"""

from __future__ import annotations

import re

from labctl.doctor.explanation import Explanation, explained
from labctl.edges.checks import Host, HostFacts, not_run_here, output_of
from roles.cuda.deploy import PROFILE
from roles.cuda.settings import CudaSettings
from roles.nvidia_driver.decided import no_card

_NAMES = "nvidia-cuda-toolkit 'cuda-toolkit-1*'"


@explained(
    Explanation(
        "The CUDA compiler is not there, or not in the path of who logs in.",
        "`labctl deploy --only cuda` installs it; then log in anew.",
        says="nvcc: (command )?not found|/etc/profile|no release",
    ),
    Explanation(
        "Another CUDA than 12 is installed and comes first.",
        "`type -a nvcc` on the host shows where; remove that one, then `labctl deploy --only cuda`.",
    ),
)
def test_compiler(host: Host, settings: CudaSettings, facts: HostFacts) -> None:
    """the CUDA compiler is in PATH, and is CUDA 12"""
    _wanted(host, settings, facts)
    said = output_of(host, "sh -c '. /etc/profile; nvcc --version'")
    found = re.search(r"release (\d+)\.", said)
    assert found, f"nvcc says no release: {said.splitlines()[-1] if said else 'nothing'}"
    assert found[1] == "12", f"nvcc is CUDA {found[1]}, not 12"


@explained(
    Explanation(
        "The CUDA toolkit was removed, or no deploy has come that far yet.",
        "`labctl deploy --only cuda` installs it.",
        says="no CUDA toolkit",
    ),
    Explanation(
        "What keeps CUDA at 12 is gone or was overridden: an upgrade would bring one that this driver "
        "may not run.",
        "`labctl deploy --only nvidia_driver,cuda` pins it again.",
    ),
)
def test_stays_12(host: Host, settings: CudaSettings, facts: HostFacts) -> None:
    """an upgrade keeps CUDA at 12"""
    _wanted(host, settings, facts)
    listed = output_of(
        host, f"dpkg-query -W -f '${{db:Status-Status}} ${{Package}}\\n' {_NAMES} 2>/dev/null || true"
    )
    names = [line.split()[1] for line in listed.splitlines() if line.startswith("installed ")]
    assert names, "no CUDA toolkit is installed"
    policy = output_of(host, f"apt-cache policy {' '.join(['%s'] * len(names))}", *names)
    for name, candidate in re.findall(r"^(\S+):\n  Installed: \S+\n  Candidate: (\S+)", policy, re.MULTILINE):
        assert re.match(r"12\.", candidate.rpartition(":")[2]), f"{name}: an upgrade would bring {candidate}"


def _wanted(host: Host, settings: CudaSettings, facts: HostFacts) -> None:
    """The settings file of the role is there where a toolkit is."""
    if reason := no_card(facts):
        not_run_here(reason)
    if not settings.toolkit:
        not_run_here("containers only: cuda.toolkit is False")
    if host.run("test -e %s", PROFILE).rc != 0:
        not_run_here("this host gets no toolkit: labctl preflight says why")
