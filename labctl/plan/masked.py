"""Finds secrets in what a person wrote for a container. A plan lies in git and goes to logs, so none may get in."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import pairwise

from labctl.mask import MASK

# Words of a name whose value nobody else should read. `TOKENS` counts things, as `KEYS=5` does.
_WORDS = frozenset(
    (
        "auth",
        "authorization",
        "cred",
        "credential",
        "credentials",
        "creds",
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
# Also at the end of a word: PGPASSWORD, masterkey, TS_AUTHKEY, WPAPSK.
_ENDS = ("key", "pass", "passcode", "passphrase", "passwd", "password", "passwords", "psk", "secret", "token")
_HARMLESS_ENDS = {
    "donkey", "hockey", "hotkey", "jockey", "monkey", "pubkey", "publickey", "turkey", "whiskey",
    "bandpass", "bypass", "compass", "highpass", "lowpass", "overpass", "surpass", "trespass", "underpass",
}  # fmt: skip
# `key` by itself is a secret as the last word, and where it opens something: ACCESS_KEY_ID, but not KEY_REPEAT.
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
# Keys that everybody may have, and those of tables.
_OPEN_KEYS = {
    "authorized", "cache", "foreign", "group", "hot", "index", "partition", "primary", "pub", "public", "sort",
}  # fmt: skip
# PASSWORD_FILE says where a secret is, TLS_KEY=/certs/x.pem too, USE_TOKEN=true whether there is one.
_PLACES, _SWITCHES = frozenset(("file", "path", "dir")), frozenset(("", "true", "false", "0", "1"))
_KEY_FILE = re.compile(r"(/[\w.@-]+)+\.(key|pem|p12|pfx|jks)")
# What providers' own tokens begin with, passwords inside addresses, and PEM files.
_VALUES = re.compile(
    r"\b(hf_|sk-|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abp]-|AKIA|AIza)[A-Za-z0-9_-]{10,}"
    r"|://[^/\s:@]*:[^/\s@]+@|-----BEGIN [A-Z ]*PRIVATE KEY"
    # Words of connection strings: AccountKey=…, client_secret=… .
    r"|(?i:\b(?:account|sharedaccess|access|api)_?key|\bsharedaccesssignature|\btoken)=[^;&\s]"
    r"|(?i:(?:\b|_)(?:password|passwd|pwd|secret))=[^;&\s]"
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
    found = re.findall(r"[A-Z0-9]+(?![a-z])|[A-Z]?[a-z0-9]+", name)
    words = [word for each in found if (word := each.lower().strip("0123456789"))]  # API_KEY_2, KEY2
    named = bool(words) and words[-1] not in _PLACES and _names_one(words, value)
    return (named and not _KEY_FILE.fullmatch(value)) or _VALUES.search(value) is not None


def _names_one(words: list[str], value: str) -> bool:
    before = ["", *words]
    if any(word == "key" and last in _KEYS for last, word in pairwise(before)):
        return True
    if words[-1] == "key" or (words[-1] == "keys" and not value.isdigit()):
        return before[-2] not in _OPEN_KEYS
    return not _WORDS.isdisjoint(words) or any(
        word.endswith(_ENDS) and word != "key" and word not in _HARMLESS_ENDS for word in words
    )
