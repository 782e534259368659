"""The receipt a deploy leaves on the host: what was wanted of each operation when it last succeeded.

With it a check can tell drift (the repository wants what it wanted, the host has moved) from news (the repository or
the inventory wants something else). It holds salted digests only: no content and nothing to guess a secret from.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

PATH = "/var/lib/labctl/receipt.json"
KEY = "receipt"
SCHEMA_VERSION = 1


class Cause(StrEnum):
    """Why an operation is pending."""

    DRIFT = "drift"  # someone changed the host
    NEWS = "news"  # the repository or the inventory changed
    NEW_HOST = "new host"  # nothing was ever deployed here


@dataclass(frozen=True)
class Receipt:
    """`wanted` maps "role: operation" to the salted digest of what was wanted."""

    salt: str
    version: str
    wanted: Mapping[str, str]

    def to_json(self) -> str:
        """Canonical JSON: the same receipt gives the same bytes."""
        content = {
            "schema_version": SCHEMA_VERSION,
            "labctl_version": self.version,
            "salt": self.salt,
            "wanted": dict(self.wanted),
        }
        return json.dumps(content, sort_keys=True, indent=1) + "\n"


def parse(text: str) -> Receipt | None:
    """Read a receipt; None for no receipt or one that cannot be read (a deploy then writes a new one)."""
    try:
        content = json.loads(text)
        if content["schema_version"] != SCHEMA_VERSION:
            return None
        wanted = {str(key): str(value) for key, value in content["wanted"].items()}
        return Receipt(str(content["salt"]), str(content["labctl_version"]), wanted)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def salted(salt: str, digest: str) -> str:
    """The digest as a receipt holds it."""
    return hashlib.sha256(f"{salt}:{digest}".encode()).hexdigest()


def cause(receipt: Receipt | None, operation: str, digest: str) -> Cause:
    """Why `operation` ("role: name"), which wants `digest`, is pending on a host with this receipt."""
    if receipt is None:
        return Cause.NEW_HOST
    unchanged = receipt.wanted.get(operation) == salted(receipt.salt, digest)
    return Cause.DRIFT if unchanged else Cause.NEWS


@dataclass(frozen=True)
class ReceiptFile:
    """The last operation of a deploy: the receipt says what was wanted, by which version; written only if it differs.

    `wanted` holds the unsalted digest of every operation of the roles in `roles`; entries of roles that this run did
    not include (`--only`) are kept as they were.
    """

    version: str
    roles: tuple[str, ...]
    wanted: tuple[tuple[str, str], ...]
    name: str = "receipt"

    def probes(self) -> Probes:
        """The receipt as it is, and a fresh salt for the case that there is none."""
        salt = "od -An -N16 -tx1 /dev/urandom | tr -d ' \\n'"
        return Probes(frozenset({PATH}), snippets=((KEY, f"cat {PATH}"), ("receipt salt", salt)))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when the host's receipt is not the one this deploy would leave."""
        old = parse(seen.texts[KEY])
        if old is None:
            return Difference("none on this host yet")
        # A newer labctl that wants the same is no reason to write.
        file = seen.files[PATH]
        if file is None or (file.mode, file.owner) != ("600", "root"):
            return Difference("not readable by root alone")
        same = dict(old.wanted) == dict(self._next(seen).wanted)
        return None if same else Difference("speaks of an earlier deploy")

    def cause(self, seen: Observations) -> Cause:
        """Why this file itself is pending: somebody touched it, or something else is wanted."""
        old = parse(seen.texts[KEY])
        if old is None:
            return Cause.NEW_HOST
        return Cause.DRIFT if dict(old.wanted) == dict(self._next(seen).wanted) else Cause.NEWS

    def will_change(self, seen: Observations) -> Pending:
        """The file."""
        return Pending(paths=frozenset({PATH}))

    def action(self, seen: Observations) -> Action:
        """Write it atomically, readable by root alone."""
        script = (
            f"set -eu; umask 077; mkdir -p -m 755 /var/lib/labctl; base64 -d >{PATH}.labctl-new; "
            f"sync {PATH}.labctl-new; mv -f {PATH}.labctl-new {PATH}\n"
        )
        return Action(script, (base64.b64encode(self._next(seen).to_json().encode()).decode(),))

    def digest(self) -> str:
        """Constant: the receipt's own entry would be circular."""
        return digest_of(["receipt"])

    def _next(self, seen: Observations) -> Receipt:
        old = parse(seen.texts[KEY])
        salt = old.salt if old else seen.texts["receipt salt"].strip()
        kept = {
            operation: value
            for operation, value in (old.wanted.items() if old else ())
            if operation.partition(": ")[0] not in self.roles
        }
        return Receipt(
            salt, self.version, kept | {name: salted(salt, digest) for name, digest in self.wanted}
        )
