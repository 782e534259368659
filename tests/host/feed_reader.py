"""Miniflux's own API, https://miniflux.app/docs/api.html: categories are kept in its PostgreSQL."""

import base64
import json
from dataclasses import dataclass
from typing import Any

from tests.host.json_request import answer

_USER = "admin"


@dataclass(frozen=True)
class FeedReader:
    """One that answers at `base_url`; its administrator's password."""

    base_url: str
    password: str

    def add_category(self, title: str) -> None:
        """Have it keep one more."""
        self._ask("/v1/categories", {"title": title})

    def categories(self) -> list[str]:
        """All that it keeps, by title."""
        return [str(each["title"]) for each in self._ask("/v1/categories")]

    def version(self) -> str:
        """Its own."""
        return str(self._ask("/v1/version")["version"])

    def _ask(self, path: str, body: dict[str, str] | None = None) -> Any:
        login = base64.b64encode(f"{_USER}:{self.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        return answer(f"{self.base_url}{path}", content, headers)
