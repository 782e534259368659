"""`python -m tests.host up` boots throwaway hosts to play with; `clean` removes what a crash left."""

import argparse
import signal
import sys
from pathlib import Path

from labctl.errors import DONE, INTERRUPTED, LabctlError
from tests.host import cleanup
from tests.host.base_image import SUITES
from tests.host.cache import open_cache
from tests.host.hosts import ThrowawayHosts
from tests.host.locks import locked
from tests.host.throwaway_host import ThrowawayHost


def main() -> int:
    """Run one command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.host", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up = commands.add_parser("up", help="boot hosts, print how to reach them, and keep them until Ctrl-C")
    up.add_argument("--suite", choices=SUITES, default=SUITES[0])
    up.add_argument(
        "--name", action="append", dest="names", metavar="NAME", help="default: aibox; may be repeated"
    )
    commands.add_parser("clean", help="remove what sessions left whose process is gone")
    arguments = parser.parse_args()
    # However it is asked to go, it goes in order; a shell starts its background jobs with SIGINT ignored.
    for request in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(request, signal.default_int_handler)
    try:
        if arguments.command == "up":
            _up(arguments.names or ["aibox"], arguments.suite)
        else:
            _clean()
    except KeyboardInterrupt:
        return INTERRUPTED
    except LabctlError as error:
        print(f"tests.host: {error}", file=sys.stderr)
        return error.exit_code
    return DONE


def _up(names: list[str], suite: str) -> None:
    with ThrowawayHosts() as hosts:
        booted = [hosts.boot(name, suite=suite) for name in names]
        inventory = hosts.session.folder / "inventory.py"
        inventory.write_text(_inventory(booted))
        ssh_config = hosts.session.folder / "ssh_config"
        ssh_config.write_text("\n".join(host.ssh.config(host.name) for host in booted))
        print(_directions(booted, inventory, ssh_config), flush=True)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("\nRemoving them.", file=sys.stderr)


def _inventory(hosts: list[ThrowawayHost]) -> str:
    entries = "".join(f"    ({host.name!r}, {host.pyinfra_data()!r}),\n" for host in hosts)
    return f'"""Throwaway hosts, while they last."""\n\nhosts = [\n{entries}]\n'


def _directions(hosts: list[ThrowawayHost], inventory: Path, ssh_config: Path) -> str:
    lines = []
    for host in hosts:
        lines += [f"{host.name}: Debian {host.suite}, {host.ipv4}, {host.ipv6}"]
        lines += [f"  ssh -F {ssh_config} {host.name}"]
    return "\n".join(
        [
            *lines,
            "",
            "As an inventory:",
            f"  labctl deploy {inventory}",
            f"  pyinfra {inventory} deploy/gpu_host.py",
            "",
            "Ctrl-C removes everything.",
        ]
    )


def _clean() -> None:
    cache = open_cache()
    with locked(cache.sessions_lock):
        removed = cleanup.remove_dead_sessions(cache)
    print(f"Removed {len(removed)} dead session(s){': ' if removed else ''}{', '.join(removed)}")


if __name__ == "__main__":
    sys.exit(main())
