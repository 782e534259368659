"""A vendor's apt repository whose key is known in advance: nothing of it is trusted, and nothing is left, otherwise."""

from __future__ import annotations

import base64
import shlex
from dataclasses import dataclass

from labctl.hoststate.host_unit import APT_GET, as_host_unit
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Action, Difference, Pending, digest_of
from labctl.hoststate.survey import Probes


@dataclass(frozen=True)
class SignedRepository:
    """A flat repository at `url`, signed by the one key with `fingerprint`, which is fetched from `key_url`.

    label: names its files under /etc/apt.
    """

    name: str
    label: str
    url: str
    key_url: str
    fingerprint: str

    @property
    def sources(self) -> str:
        """The path of its source for apt."""
        return f"/etc/apt/sources.list.d/labctl-{self.label}.sources"

    @property
    def keyring(self) -> str:
        """The path of its key."""
        return f"/etc/apt/keyrings/labctl-{self.label}.gpg"

    @property
    def _stamp(self) -> str:
        return f"/var/lib/labctl/repository-{self.label}"

    @property
    def _text(self) -> str:
        return (
            "# Managed by labctl.\n"
            f"Types: deb\nURIs: {self.url}\nSuites: ./\nSigned-By: {self.keyring}\nArchitectures: amd64\n"
        )

    @property
    def _now(self) -> str:
        """A command whose output changes with the files and with what is wanted."""
        wanted = digest_of([self._text, self.fingerprint])[:24]
        return f"echo {wanted} $(cat {self.keyring} {self.sources} 2>&1 | sha256sum | cut -d' ' -f1)"

    @property
    def _key(self) -> str:
        return "repository " + self.label

    def probes(self) -> Probes:
        """Both files as they were when the key was last held against its fingerprint, and as they are."""
        return Probes(snippets=((self._key, f"cat {self._stamp} 2>/dev/null || echo never; {self._now}"),))

    def compare(self, seen: Observations, pending: Pending) -> Difference | None:
        """Different when it is not there, was changed by hand, or another is wanted."""
        then, _, now = seen.texts[self._key].partition("\n")
        if then.strip() == now.strip():
            return None
        return Difference("not there yet" if then == "never" else f"{self.sources} or its key differs")

    def will_change(self, seen: Observations) -> Pending:
        """Its source."""
        return Pending(paths=frozenset({self.sources}))

    def action(self, seen: Observations) -> Action:
        """Fetch the key, hold it against the fingerprint, add the source and its lists; take it back if apt refuses."""
        url, key_url, text = (
            shlex.quote(self.url),
            shlex.quote(self.key_url),
            base64.b64encode(self._text.encode()).decode(),
        )
        gpg = 'gpg --batch --quiet --homedir "$new"'
        install = f"{APT_GET} --no-install-recommends install gpg"
        get_gpg = f"{install} || {{ {APT_GET} update; {install}; }}"
        update = (
            f"{APT_GET} -o Dir::Etc::sourcelist={self.sources} -o Dir::Etc::sourceparts=- "
            "-o APT::Get::List-Cleanup=0 -o APT::Update::Error-Mode=any update"
        )
        return Action(
            f"""set -eu
command -v gpg >/dev/null || ( {as_host_unit(get_gpg)} )
new=$(mktemp -d); trap 'rm -rf "$new"' EXIT
curl -fsSL --retry 3 -o "$new/key" {key_url} || {{
  echo "labctl: no key can be fetched from "{key_url} >&2; exit 1; }}
found=$({gpg} --with-colons --show-keys "$new/key" 2>/dev/null |
  awk -F: '$1 == "pub" {{ main = 1 }} $1 == "fpr" && main {{ print $10; main = 0 }}' | tr '\\n' ' ')
[ "$found" = "{self.fingerprint} " ] || {{
  echo "labctl: the key of "{url}" is ${{found:-no key}}and not {self.fingerprint}" >&2; exit 1; }}
if grep -q "^-----BEGIN PGP" "$new/key"; then
  {gpg} --dearmor <"$new/key" >"$new/ring"
else
  cp "$new/key" "$new/ring"
fi
take_back() {{ rm -f {self.sources} {self.keyring} {self._stamp}; }}
install -d -m 755 /etc/apt/keyrings /var/lib/labctl
install -m 644 "$new/ring" {self.keyring}
printf %s {text} | base64 -d >"$new/sources"; install -m 644 "$new/sources" {self.sources}
( {as_host_unit(update)} ) || {{ take_back; exit 1; }}
{self._now} >{self._stamp}
"""
        )

    def digest(self) -> str:
        """A hash of the address and the fingerprint."""
        return digest_of([self.url, self.key_url, self.fingerprint])
