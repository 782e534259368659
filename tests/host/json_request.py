"""JSON from a service on a port of this machine's own."""

import json
import urllib.request
from collections.abc import Mapping
from typing import Any

from labctl.errors import Failed

JSON = {"Content-Type": "application/json"}
"""The headers of a body that is."""


def answer(url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> Any:
    """What it answers, read. Without a body it is a GET. Raises `Failed` for an error, silence, and other than JSON."""
    request = urllib.request.Request(url, body, dict(headers or {}))
    try:
        # Straight there, whatever proxy the environment names.
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=60) as reply:
            return json.load(reply)
    except (OSError, ValueError) as error:
        raise Failed(f"no answer: {error}", where=url) from error
