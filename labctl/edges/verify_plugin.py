"""The pytest plugin of one host's verification: its fixtures, and each check's verdict as an event."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from labctl.doctor.explanation import Explanation, explanations_of
from labctl.edges import events
from labctl.edges.checks import NOTHING, Host
from labctl.edges.held_shell import ConnectionLost
from labctl.edges.verdicts import Verdict, last_line, name_of, verdict_of
from labctl.errors import Failed, LabctlError
from labctl.hoststate.facts import HostFacts


@dataclass(frozen=True)
class RoleChecks:
    """One role on one host: its checks.py, and what the inventory asks of it."""

    role: str
    path: Path
    settings: Any


@dataclass(frozen=True)
class FailedCheck:
    """A check that failed, why, and what its author knows of that."""

    role: str
    name: str
    message: str
    explanations: tuple[Explanation, ...]


class VerifyPlugin:
    """Register with `pytest.main(plugins=[…])`; `counts`, `failures` and `problem` are the result.

    `problem` is why checks could not be run: a checks.py that cannot be read or holds none, a broken connection.
    """

    def __init__(
        self,
        host: Host,
        facts: HostFacts,
        roles: tuple[RoleChecks, ...],
        emit: Callable[[events.HostEvent], None],
    ) -> None:
        self.host = host
        self.facts = facts
        self._roles = {one.path.resolve(): one for one in roles}
        self._name = host.backend.get_hostname()
        self._emit = emit
        self._verdict = Verdict("passed")
        self._with_checks: set[str] = set()
        self.counts: Counter[str] = Counter()
        self.failures: list[FailedCheck] = []
        self.problem: LabctlError | None = None

    def pytest_configure(self, config: pytest.Config) -> None:
        """Give this module's fixtures what they return."""
        config.stash[_PLUGIN] = self
        config.pluginmanager.register(sys.modules[__name__])

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A checks.py that cannot be read, or that skips itself as a whole, is no success."""
        if report.outcome != "passed" and self.problem is None:
            self.problem = Failed(
                "the checks cannot be read",
                where=report.nodeid or self._name,
                found=last_line(str(report.longrepr)),
                hint="correct the file" if report.failed else "a check says not_run_here(reason) by itself",
            )

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Leave out what there is none of on this host."""
        self._with_checks = {self.role(item.path).role for item in items}
        items[:] = [item for item in items if not _is_of_nothing(item)]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Announce the checks; a role without any is a mistake, never a success."""
        for one in self._roles.values():
            if one.role not in self._with_checks and self.problem is None:
                self.problem = Failed(
                    f"the role {one.role} has no checks",
                    where=str(one.path),
                    found="no function called test_…",
                    hint=f"write one, or verify the other roles: --skip {one.role}",
                )
        if self.problem is not None:
            session.shouldstop = "not every role can be verified"
            return
        roles = tuple(one.role for one in self._roles.values())
        self._emit(events.HostPlanned(self._name, roles, len(session.items)))

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        """One event per check, whatever its set-up and tear-down did."""
        self._verdict = Verdict("passed")
        result = yield
        if self.problem is not None:
            item.session.shouldstop = "the host cannot be reached any more"
            return result
        verdict = self._verdict
        self.counts[verdict.status] += 1
        role = self.role(item.path).role
        name = name_of(item)
        if verdict.status == "failed":
            known = explanations_of(getattr(item, "function", None))
            self.failures.append(FailedCheck(role, name, verdict.reason or "", known))
        self._emit(events.Verified(self._name, role, name, verdict.status, verdict.reason, verdict.output))
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Judge each phase by what it raised: pytest's own word "skipped" is not ours."""
        report = yield
        if call.excinfo is not None and self._verdict.status == "passed":
            if isinstance(call.excinfo.value, ConnectionLost):
                self.problem = call.excinfo.value
            self._verdict = verdict_of(item, call.excinfo)
        return report

    def pytest_internalerror(self, excrepr: object) -> None:
        """pytest itself failed."""
        self.problem = Failed(
            "the checks could not be run",
            where=self._name,
            found=last_line(str(excrepr)),
            hint="run again with -v and report this",
        )

    def role(self, path: Path) -> RoleChecks:
        """The role whose checks stand in this file."""
        return self._roles[path.resolve()]


def run_checks(roles: tuple[RoleChecks, ...], plugin: VerifyPlugin) -> None:
    """Run the roles' checks in their order, and nothing of whoever's pytest configuration lies around."""
    for variable in ("PYTEST_ADDOPTS", "PYTEST_PLUGINS"):
        os.environ.pop(variable, None)
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    paths = [str(one.path) for one in roles]
    root = os.path.commonpath([str(Path(path).parent) for path in paths])
    pytest.main(
        [
            *paths,
            *("-c", os.devnull, "--rootdir", root, "--noconftest", "-p", "no:cacheprovider"),
            *("-p", "no:faulthandler", "-q", "--no-header", "--tb=short"),
        ],
        plugins=[plugin],
    )


def _is_of_nothing(item: pytest.Item) -> bool:
    call = getattr(item, "callspec", None)
    return call is not None and NOTHING in (value for value in call.params.values() if isinstance(value, str))


_PLUGIN = pytest.StashKey[VerifyPlugin]()


def host_of(config: pytest.Config) -> Host:
    """The host, for checks that are as many as there are things on it."""
    return config.stash[_PLUGIN].host


@pytest.fixture(scope="session")
def host(pytestconfig: pytest.Config) -> Host:
    """The host, as testinfra sees it."""
    return pytestconfig.stash[_PLUGIN].host


@pytest.fixture(scope="session")
def facts(pytestconfig: pytest.Config) -> HostFacts:
    """What the host is."""
    return pytestconfig.stash[_PLUGIN].facts


@pytest.fixture(scope="module")
def settings(request: pytest.FixtureRequest) -> Any:
    """The validated settings of the role whose check asks."""
    return request.config.stash[_PLUGIN].role(request.path).settings
