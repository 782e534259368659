"""Hosts with cards, for the tests of the roles that are about them."""

from dataclasses import replace
from pathlib import Path

from labctl.hoststate.facts import HostFacts
from tests.roles.host_facts import host_facts

CASES = Path(__file__).resolve().parents[1] / "cases" / "preflight"


def gpu_facts(case: str, os_release: str = "debian 13", codename: str = "trixie") -> HostFacts:
    """A host whose driver report is a case of the preflight's."""
    return replace(host_facts(os_release, codename), driver_report=(CASES / f"{case}.txt").read_text())


TWO_3090 = gpu_facts("debian13-two-3090-distribution")
SIGNED = gpu_facts("ubuntu2404-4090-secure-boot", "ubuntu 24.04", "noble")
EVERYTHING_WRONG = gpu_facts("debian13-everything-wrong")
