"""pyinfra has gevent patch the standard library when it is imported, which has to come before paramiko is."""

import sys
from importlib import metadata


def import_pyinfra() -> None:
    """Import it, and so patch; nothing more where it was imported before.

    gevent looks for plugins at every patch, and the standard library looks through all that is installed each time:
    a fifth of a second. Here it looks once.
    """
    if "pyinfra_cli" in sys.modules:
        return
    standard, found = metadata.entry_points, metadata.entry_points()
    vars(metadata)["entry_points"] = found.select
    try:
        import pyinfra_cli  # noqa: F401 - for what importing it does
    finally:
        vars(metadata)["entry_points"] = standard
