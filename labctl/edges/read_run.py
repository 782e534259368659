"""One question to all hosts of an inventory: one remote command each, which changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import gevent
from pyinfra.api.state import StateStage

from labctl.edges import events
from labctl.edges.driven_run import DrivenRun
from labctl.edges.host_session import run_on
from labctl.errors import Failed, LabctlError

if TYPE_CHECKING:
    from pyinfra.api import Host, State


class ReadRun(DrivenRun):
    """The script of the request, run on every host at the same time, as the login user."""

    def _prepare(self, state: State) -> None:
        """No roles are asked for: nothing will be changed."""
        state.set_stage(StateStage.Prepare)

    def act(self, state: State) -> None:
        """Run the script; what each host prints is an event."""
        jobs = {state.pool.spawn(self._ask, host): host for host in list(state.active_hosts)}
        for job in gevent.iwait(list(jobs)):
            problem = job.get()
            if problem is not None:
                self.fail(state, jobs[job], "execute", problem)

    def _ask(self, host: Host) -> LabctlError | None:
        try:
            status, output = run_on(host, self._request.script, sudo=False)
        except LabctlError as problem:
            return problem
        if not status:
            lines = [line for line in output.output_lines if line.strip()]
            return Failed(
                "the host could not be read",
                where=host.name,
                found=lines[-1] if lines else "no output",
                hint="run again with -v",
            )
        self.emit(events.HostAnswered(host.name, "\n".join(output.stdout_lines)))
        return None
