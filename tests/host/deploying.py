"""Deploys as a person runs them, against throwaway hosts: an inventory file, the command, and its JSON."""

from __future__ import annotations

import json
import os
import pprint
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.host.throwaway_host import ThrowawayHost

CHECKOUT = Path(__file__).resolve().parents[2]


def write_inventory(path: Path, *hosts: ThrowawayHost, **data: object) -> Path:
    """Write a pyinfra inventory of `hosts`, each with `data` beside what its connection needs."""
    entries = [(host.name, {**host.pyinfra_data(), **data}) for host in hosts]
    path.write_text(f"hosts = {pprint.pformat(entries)}\n")
    return path


@dataclass(frozen=True)
class Run:
    """One labctl command that has ended."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def document(self) -> dict[str, Any]:
        """What --json printed."""
        return dict(json.loads(self.stdout))

    def host(self, name: str) -> dict[str, Any]:
        """One host of the document."""
        return dict(self.document["hosts"][name])

    def changed(self, name: str) -> set[str]:
        """ "role: name" of the operations that changed something on a host."""
        return {
            f"{o['role']}: {o['name']}" for o in self.host(name)["operations"] if o["status"] == "changed"
        }

    def pending(self, name: str, certainty: str | None = None) -> dict[str, str]:
        """ "role: name" of what a check found pending, and why (drift, news, new host)."""
        return {
            f"{o['role']}: {o['name']}": o["cause"]
            for o in self.host(name)["pending"]
            if certainty in (None, o["certainty"])
        }


def labctl(
    *arguments: str | Path,
    env: Mapping[str, str] | None = None,
    timeout_s: float = 300,
    given: str = "",
    checkout: Path = CHECKOUT,
) -> Run:
    """Run the labctl of this checkout, or of a copy of it, with nobody to answer its questions.

    given: on its standard input.
    """
    done = subprocess.run(
        [sys.executable, "-m", "labctl", *map(str, arguments)],
        capture_output=True,
        text=True,
        input=given,
        cwd=checkout,
        env={**os.environ, **(env or {})},
        timeout=timeout_s,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)


# The program itself would take what is installed: of two checkouts with one environment, perhaps the other's.
PYINFRA_ENV = {**os.environ, "PYTHONPATH": str(CHECKOUT)}


def pyinfra(*arguments: str | Path, timeout_s: float = 300) -> Run:
    """Run plain pyinfra from the checkout, as the README says."""
    done = subprocess.run(
        [str(Path(sys.executable).with_name("pyinfra")), *map(str, arguments)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=CHECKOUT,
        env=PYINFRA_ENV,
        timeout=timeout_s,
        check=False,
    )
    return Run(done.returncode, done.stdout, done.stderr)
