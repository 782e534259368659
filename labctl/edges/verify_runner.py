"""Start a verification and hand on what it reports."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

from labctl.edges import deploy_runner, events
from labctl.edges.deploy_runner import DeployRequest


def run(request: DeployRequest) -> Iterator[events.Event]:
    """Yield the events of running every role's checks on every host of the request; the last is `Ended`.

    The exit code is 0 when all checks passed (or cannot mean anything on their host), 3 when one failed, 1 when a host
    could not be reached or its checks could not be run, 2 for bad input.
    """
    return deploy_runner.run(dataclasses.replace(request, mode="verify"))
