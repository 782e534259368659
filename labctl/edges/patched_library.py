"""pyinfra has gevent patch the standard library when it is imported, which has to come before paramiko is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata


def import_pyinfra() -> None:
    """Import it, and so patch; nothing more where it was imported before.

    gevent looks for plugins at every patch, and pyinfra for its connectors at every host; the standard library looks
    through all that is installed each time: a third of a second. Here it looks once.
    """
    if "pyinfra_cli" in sys.modules:
        return
    standard, found = metadata.entry_points, metadata.entry_points()
    vars(metadata)["entry_points"] = found.select
    try:
        import pyinfra_cli  # noqa: F401 - for what importing it does

        with _without("invoke"):
            import pyinfra.api.connectors
            import pyinfra.connectors.ssh  # noqa: F401 - brings the configuration that needs no invoke
    finally:
        vars(metadata)["entry_points"] = standard


@contextmanager
def _without(name: str) -> Iterator[None]:
    """Import as if it were not installed.

    paramiko does with and without invoke, which takes longer to import than all of paramiko. It is for `Match exec` of
    an SSH configuration, where pyinfra puts something of its own in its place.
    """
    if name in sys.modules:
        yield
        return
    vars(sys)["modules"][name] = None
    try:
        yield
    finally:
        del sys.modules[name]
