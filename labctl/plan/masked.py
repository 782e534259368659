"""Finds secrets in what a person wrote for a container. A plan lies in git and goes to logs, so none may get in."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from labctl.mask import MASK

# Words of a name whose value nobody else should read. `TOKENS` and `KEYS` count or list things.
_WORDS = frozenset(
    (
        "auth",
        "authorization",
        "credential",
        "credentials",
        "jwt",
        "pass",
        "pat",
        "pw",
        "pwd",
        "salt",
        "secrets",
        "webhook",
    )
)
# Also at the end of a word: PGPASSWORD, masterkey.
_ENDS = (
    "apikey",
    "licensekey",
    "masterkey",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "secretkey",
    "token",
)
# A key is a secret where it opens something: API_KEY, but not KEY_REPEAT.
_KEYS = frozenset(
    (
        "access",
        "api",
        "app",
        "auth",
        "encryption",
        "license",
        "master",
        "private",
        "secret",
        "session",
        "signing",
        "ssh",
    )
)
# PASSWORD_FILE says where a secret is, USE_TOKEN=true whether there is one.
_PLACES, _SWITCHES = frozenset(("file", "path", "dir")), frozenset(("", "true", "false", "0", "1"))
# What providers' own tokens begin with, passwords inside addresses, and PEM files.
_VALUES = re.compile(
    r"\b(hf_|sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abp]-|AKIA|AIza)[A-Za-z0-9_-]{10,}"
    r"|://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY"
    # What an HTTP header authorizes with, JSON web tokens, addresses that whoever knows them may post to.
    r"|\b(?i:bearer|basic)\s+\S{6,}|\beyJ[\w-]{5,}\.[\w-]+\.|/api/webhooks/\S|hooks\.slack\.com/services/\S"
)
_OPTION = re.compile(r"^--?(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?$", re.DOTALL)

# As `mysql` takes it; a port is a number, and `-parallel` a word.
_SHORT_PASSWORD = re.compile(r"^-p(?!\d+$)(?![a-z-]+(=|$))\S")


@dataclass(frozen=True)
class Masked:
    """env: without what is secret. args: with a mask in its place. secrets: the places, as `env.API_KEY`, `args[1]`."""

    env: Mapping[str, str]
    args: tuple[str, ...]
    secrets: tuple[str, ...]


def masked(env: Iterable[tuple[str, str]], args: tuple[str, ...]) -> Masked:
    """What may be read by anyone, and where the rest was. An empty value is none."""
    kept = {name: value for name, value in env if not is_secret(name, value)}
    left_out = [f"env.{name}" for name, value in env if is_secret(name, value)]
    shown = list(args)
    for index, arg in enumerate(args):
        option = _OPTION.match(arg)
        before = _OPTION.match(args[index - 1]) if index else None
        if option and option["value"] is not None:
            if is_secret(option["name"], option["value"]):
                shown[index] = f"{arg.partition('=')[0]}={MASK}"
        elif _SHORT_PASSWORD.match(arg):
            shown[index] = f"-p{MASK}"
        elif is_secret(before["name"] if before and before["value"] is None and not option else "", arg):
            shown[index] = MASK
    left_out += [f"args[{index}]" for index, arg in enumerate(shown) if arg != args[index]]
    return Masked(kept, tuple(shown), tuple(left_out))


def is_secret(name: str, value: str) -> bool:
    """Whether a value is one by its name, or looks like one."""
    if value.lower() in _SWITCHES:
        return False
    words = [word.lower() for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+", name)]
    keys = any(word == "key" and before in _KEYS for before, word in pairwise(words))
    named = keys or not _WORDS.isdisjoint(words) or any(word.endswith(_ENDS) for word in words)
    named = named and words[-1] not in _PLACES
    return named or _VALUES.search(value) is not None
