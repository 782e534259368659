"""What holds for every test."""

import os
from collections.abc import Generator
from unittest import mock

import pytest

# pyinfra's command line patches the standard library when it is imported. In the one process of all tests that would
# reach tests that have nothing to do with it; a patched os.close, for one, waits for a loop that nobody turns.
mock.patch("gevent.monkey.patch_all").start()

pytest_plugins = ("tests.host.fixtures",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Where CI=true a skipped test is a failed test: a green run must mean that everything ran."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("CI") == "true":
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} was skipped, and CI=true does not allow that: {reason}"
    return report
