"""pytest fixtures for tests on throwaway hosts; loaded for all of tests/ by tests/conftest.py.

    def test_something(throwaway_host):                        # one bare Debian 13
    def test_more(boot_host):
        first, second = boot_host("first"), boot_host("second", suite="bookworm")
    throwaway_hosts.boot(…), in fixtures of your own that share a host among tests; destroy it when they end

Every test that uses one of them is marked `host`. When one fails, its report ends with the last lines of the journal
and console of every host there is, and says where all of them are kept.
"""

import re
from collections.abc import Callable, Generator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from labctl.errors import Failed
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

_LAST_LINES = 40
# Begun first, where several files run side by side: what is long and begun last keeps one worker while others are idle.
_LONGEST = (
    "test_gpu_host",
    "test_kill_anywhere",
    "test_driver_faults",
    "test_gpu_kill_anywhere",
    "test_apply_kill_anywhere",
    "test_apply",
    "test_deploy",
    "test_gpu_drift",
    "test_transaction",
)
_FIXTURES = {"throwaway_hosts", "throwaway_host", "boot_host"}
_HOSTS = pytest.StashKey[ThrowawayHosts]()


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest know the marker also where it was given no configuration file."""
    config.addinivalue_line("markers", "host: boots a throwaway host; needs root (make test, make host)")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what boots hosts, so that `-m "not host"` can be trusted; put the longest files first."""
    for item in items:
        if _FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.host)
    items.sort(
        key=lambda item: _LONGEST.index(item.path.stem) if item.path.stem in _LONGEST else len(_LONGEST)
    )


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Let the hosts speak when a test fails."""
    report = yield
    hosts = item.config.stash.get(_HOSTS, None)
    if report.failed and hosts is not None and item.get_closest_marker("host"):
        for host in hosts:
            report.sections.append(_last_words(host, hosts.session.cache.logs, item.nodeid))
    return report


@pytest.fixture(scope="session")
def throwaway_hosts(pytestconfig: pytest.Config) -> Iterator[ThrowawayHosts]:
    """The session of all throwaway hosts of this test run."""
    with ThrowawayHosts() as hosts:
        pytestconfig.stash[_HOSTS] = hosts
        yield hosts
        del pytestconfig.stash[_HOSTS]


@pytest.fixture
def boot_host(throwaway_hosts: ThrowawayHosts) -> Iterator[Callable[..., ThrowawayHost]]:
    """`ThrowawayHosts.boot`; what it booted is destroyed when the test ends."""
    tried: set[str] = set()

    def boot(name: str = "aibox", **how: object) -> ThrowawayHost:
        if name not in {host.name for host in throwaway_hosts}:
            tried.add(name)  # also if it fails: it stays until the report has its logs
        return throwaway_hosts.boot(name, **how)  # type: ignore[arg-type]  # boot's own, checked there

    yield boot
    for host in throwaway_hosts:
        if host.name in tried:
            throwaway_hosts.destroy(host)


@pytest.fixture
def throwaway_host(boot_host: Callable[..., ThrowawayHost]) -> ThrowawayHost:
    """A bare Debian 13 host."""
    return boot_host()


def _last_words(host: ThrowawayHost, folder: Path, test: str) -> tuple[str, str]:
    """Keep all logs of a host; returns a section for the report with their ends."""
    try:
        journal = host.logs()
    except Failed as error:
        journal = f"(no journal: {error})"
    console = host.machine.console_tail()
    stamp = datetime.now(tz=UTC).strftime("%Y%m%d-%H%M%S")
    kept = folder / f"{stamp}-{re.sub(r'[^A-Za-z0-9_.-]+', '-', test)[-120:]}-{host.name}.log"
    kept.write_text(f"{journal}\n----- console -----\n{host.machine.console_tail(10**7)}\n")
    last = "\n".join(journal.splitlines()[-_LAST_LINES:])
    return (
        f"host {host.name}: journal and console, all of it in {kept}",
        f"{last}\n----- console -----\n{console}",
    )
