"""The process that all tests share is an ordinary one, whichever of them imports pyinfra."""

import pyinfra_cli
from gevent import monkey


def test_pyinfra_has_patched_nothing() -> None:
    assert pyinfra_cli.__name__ == "pyinfra_cli"
    assert not monkey.is_module_patched("os")
