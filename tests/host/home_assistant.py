"""Home Assistant's own API, https://developers.home-assistant.io/docs/api/rest and /auth_api, to its first user."""

from __future__ import annotations

import json
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.host.json_request import JSON, answer


@dataclass(frozen=True)
class HomeAssistant:
    """One that answers at `base_url`."""

    base_url: str

    def name(self) -> str:
        """By which its page wants to be installed."""
        return str(self._ask("/manifest.json")["name"])

    def steps(self) -> dict[str, bool]:
        """Which steps of its first setting up are done, by name."""
        return {each["step"]: each["done"] for each in self._ask("/api/onboarding")}

    def make_owner(self, name: str, password: str) -> str:
        """Make its first user, as its page does, who is its owner; returns a token."""
        user = {"client_id": self._client, "name": name, "username": name, "password": password}
        made = self._ask("/api/onboarding/users", {**user, "language": "en"})
        return self._token(made["auth_code"])

    def log_in(self, name: str, password: str) -> str:
        """The token of a user that there is."""
        provider = {
            "client_id": self._client,
            "handler": ["homeassistant", None],
            "redirect_uri": self._client,
        }
        flow = self._ask("/auth/login_flow", provider)
        words = {"client_id": self._client, "username": name, "password": password}
        done = self._ask(f"/auth/login_flow/{flow['flow_id']}", words)
        return self._token(done["result"])

    def config(self, token: str) -> dict[str, Any]:
        """What it says of itself to a user: `version`, `state`, `time_zone` and more."""
        return dict(self._ask("/api/config", token=token))

    @property
    def _client(self) -> str:
        return f"{self.base_url}/"

    def _token(self, code: str) -> str:
        form = {"client_id": self._client, "grant_type": "authorization_code", "code": code}
        made = answer(f"{self.base_url}/auth/token", urllib.parse.urlencode(form).encode())
        return str(made["access_token"])

    def _ask(self, path: str, body: Mapping[str, Any] | None = None, token: str = "") -> Any:
        headers = {**JSON, **({"Authorization": f"Bearer {token}"} if token else {})}
        return answer(f"{self.base_url}{path}", json.dumps(body).encode() if body else None, headers)
