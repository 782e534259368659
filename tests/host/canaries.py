"""Secrets that stand out, in every form they could leak in, and those who would see them on a host."""

import base64
import json
import re
import secrets
import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.host.throwaway_host import ThrowawayHost

_WATCH = "/run/labctl-tests-watch"
# With its own filter, strace stops nothing but the calls it was asked for: the rest runs at full speed.
_WATCHED_SSHD = f"""[Service]
Type=exec
ExecStart=
ExecStart=/usr/bin/strace --follow-forks --seccomp-bpf -qq -v -y -s 1000000 \\
  -e trace=execve,write,writev,pwrite64 -o {_WATCH} /usr/sbin/sshd -D
"""
_DROP_IN = "/run/systemd/system/ssh.service.d"
# One system call per line, with the path or kind of the file behind each descriptor: `write(1<pipe:[17]>, "text", 4)`.
_WRITE = re.compile(r"^\d+ +p?writev?(?:64)?\(\d+<(?P<target>[^>]*)>")


def canary() -> str:
    """A secret that occurs nowhere else."""
    return f"canary{secrets.token_hex(12)}"


def forms(secret: str) -> set[str]:
    """The secret itself, and parts of it in base64 and hexadecimal that are the same whatever stands around it."""
    data = secret.encode()
    found = {secret, data.hex(), data.hex().upper()}
    for before in range(3):
        encoded = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        # The first and the last characters hold bits of the neighbours too.
        found.add(encoded[(0, 2, 3)[before] : len(encoded) - 4])
    return found


def leaked(text: str, hidden: Iterable[str]) -> list[str]:
    """The lines of `text` that hold a form of one of the secrets."""
    wanted = {form for secret in hidden for form in forms(secret)}
    return [line[:300] for line in text.splitlines() if any(form in line for form in wanted)]


def files_with(host: ThrowawayHost, hidden: Iterable[str]) -> set[str]:
    """The files of the host that hold one, wherever they are."""
    # The recording would be found, too.
    found = host.console_run(
        f"grep -rlaF --devices=skip --exclude-dir=proc --exclude-dir=sys --exclude={Path(_WATCH).name}"
        f" {_patterns(hidden)} /",
        check=False,
    )
    return set(found.stdout.split())


def journal_lines_with(host: ThrowawayHost, hidden: Iterable[str]) -> list[str]:
    """The entries of the host's journal that hold one; those of sudo have whole command lines in them."""
    command = f"journalctl --no-pager --all --output=export | grep -aF {_patterns(hidden)}"
    return host.console_run(command, check=False).stdout.splitlines()


def _patterns(hidden: Iterable[str]) -> str:
    return " ".join(f"-e {shlex.quote(form)}" for secret in hidden for form in sorted(forms(secret)))


@contextmanager
def recorded(host: ThrowawayHost) -> Iterator[None]:
    """Record what logins start and write, with arguments and environment; `Recording` reads it after."""
    host.console_run(
        f"mkdir -p {_DROP_IN}; cat >{_DROP_IN}/watch.conf <<'EOF'\n{_WATCHED_SSHD}\nEOF\n"
        "systemctl daemon-reload; systemctl restart ssh"
    )
    host.wait_for_ssh()
    try:
        yield
    finally:
        host.console_run(f"rm -r {_DROP_IN}; systemctl daemon-reload; systemctl restart ssh")
        host.wait_for_ssh()


class Recording:
    """What was recorded on a host that has anything to do with the secrets. An AssertionError where nothing was."""

    def __init__(self, host: ThrowawayHost, hidden: Iterable[str]) -> None:
        # In an empty recording nothing is found, either.
        starts = host.console_run(f"grep -ac ' execve(' {_WATCH}", check=False).stdout.strip()
        assert starts.isdigit(), f"there is no {_WATCH} on {host.name}: nobody watched"
        assert int(starts) > 0, f"no program was started by what {_WATCH} on {host.name} watched"
        lines = host.console_run(f"grep -aF {_patterns(hidden)} {_WATCH}", check=False).stdout.splitlines()
        self.started = [line[:300] for line in lines if " execve(" in line]
        self.written_to = {_target(line) for line in lines if " execve(" not in line}


def _target(line: str) -> str:
    match = _WRITE.match(line)
    target = match["target"] if match else line[:300]
    return target.partition(":[")[0]


def arguments_with(hidden: Iterable[str]) -> list[str]:
    """The command lines of this machine's processes, those of its guests among them, that hold one now."""
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):  # it has ended
            lines.append(path.read_bytes().replace(b"\0", b" ").replace(b"\n", b" ").decode(errors="replace"))
    return leaked("\n".join(lines), hidden)


def registry_auth(user: str, password: str) -> str:
    """The form in which container tools keep a login."""
    return base64.b64encode(f"{user}:{password}".encode()).decode()


def auths(text: str) -> dict[str, str]:
    """The logins of a containers-auth.json(5)."""
    return {registry: login["auth"] for registry, login in json.loads(text)["auths"].items()}
