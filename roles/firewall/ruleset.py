"""The nftables ruleset, as a resource that the host undoes by itself when it locks its own client out."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field

from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes

RULES = "/etc/labctl/firewall.nft"
_LOADED = (
    "/var/lib/labctl/firewall.loaded"  # "<sha256 of the rules> <sha256 of nft's listing after loading them>"
)
_NEW, _UNDO = "/run/labctl/firewall.new", "/run/labctl/firewall.undo"
_UNDO_UNIT = "labctl-firewall-undo"
# nft's listing is the only account of what the kernel really has: a rule deleted by hand changes it. Protocols stand
# there as numbers (-p): their names come from /etc/protocols, which a bare host does not have until netbase is there.
_LISTING = "nft -s -p list table inet labctl 2>/dev/null | sha256sum | cut -d' ' -f1"


@dataclass(frozen=True)
class Ruleset:
    """`rules` is loaded in the kernel and stands in RULES, from where the unit loads it at boot."""

    name: str
    rules: str = field(repr=False)
    undo_seconds: int

    @property
    def advice(self) -> str:
        """The settings that decide about SSH."""
        return "correct firewall.ssh_ports and firewall.ssh_sources, then deploy again"

    def probes(self) -> Probes:
        """The file, and whether what is loaded is what was loaded from it."""
        snippet = f"cat {_LOADED}; echo; {_LISTING}"
        return Probes(paths=frozenset({RULES}), snippets=(("firewall", snippet),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when the file, or the kernel's rules, are not those wanted."""
        words = [*seen.texts["firewall"].split(), "", "", ""]
        file = seen.files[RULES]
        if file is None or words[0] == "" or len(words) < 6:
            return Difference("never loaded" if file is None else "not loaded")
        if file.sha256 != self._sha256:
            # The record says which rules were confirmed last: a file that differs from it was edited on the host.
            return Difference(f"{RULES} content differs" if words[0] == self._sha256 else "the rules change")
        if words[0] != self._sha256:
            return Difference("the rules were never confirmed")
        if words[1] != words[2]:
            return Difference("what the kernel has is not what was loaded")
        return None

    def will_change(self, seen: Observations) -> Pending:
        """The rules file."""
        return Pending(paths=frozenset({RULES}))

    def action(self, seen: Observations) -> Action:
        """Check the rules, arm the undo, load them. They are not in RULES yet: a reboot now brings the old ones."""
        script = f"""set -eu; umask 077
export PATH="$PATH:/usr/sbin:/sbin"
install -d -m 700 /run/labctl
if systemctl -q is-active {_UNDO_UNIT}.timer; then
  systemctl stop {_UNDO_UNIT}.timer; nft -f {_UNDO}
fi
base64 -d >{_NEW}
nft -c -f {_NEW}
{{
  echo 'table inet labctl'; echo 'delete table inet labctl'; nft -s -p list table inet labctl 2>/dev/null || true
}} >{_UNDO}
systemd-run --quiet --collect --on-active={self.undo_seconds}s --timer-property=AccuracySec=1s \\
  --unit={_UNDO_UNIT} "$(command -v nft)" -f {_UNDO}
nft -f {_NEW} || {{ systemctl stop {_UNDO_UNIT}.timer; exit 1; }}
"""
        return Action(script, (base64.b64encode(self.rules.encode()).decode(),))

    def confirm(self) -> Action:
        """Disarm the undo and make the rules the ones that boot loads."""
        script = f"""set -eu; umask 077
export PATH="$PATH:/usr/sbin:/sbin"
systemctl -q is-active {_UNDO_UNIT}.timer || {{ echo "the host has already undone the change" >&2; exit 1; }}
systemctl stop {_UNDO_UNIT}.timer
[ "$(sha256sum <{_NEW} | cut -d' ' -f1)" = {self._sha256} ] || {{
  nft -f {_UNDO}
  echo "another labctl is changing the firewall at the same time" >&2; exit 1; }}
# The timer may have fired between the question and the stop: what is confirmed is what is loaded now.
while systemctl is-active {_UNDO_UNIT}.service | grep -q -e '^activ' -e '^deactiv'; do sleep 0.1; done
nft -f {_NEW}
install -d -m 755 /etc/labctl /var/lib/labctl
install -m 600 {_NEW} {RULES}.labctl-new; sync {RULES}.labctl-new; mv -f {RULES}.labctl-new {RULES}
echo "{self._sha256} $({_LISTING})" >{_LOADED}.labctl-new
sync {_LOADED}.labctl-new; mv -f {_LOADED}.labctl-new {_LOADED}
rm -f {_NEW} {_UNDO}
"""
        return Action(script)

    def digest(self) -> str:
        """A hash of the rules."""
        return digest_of([self.rules])

    @property
    def _sha256(self) -> str:
        return hashlib.sha256(self.rules.encode()).hexdigest()
