"""Stands in for Ollama's server; `ollama list`, by which its health is asked, is answered in __main__.py."""

from typing import Any

from tests.host.stand_in_services.service import refuse, serve


def run(about: dict[str, Any], words: list[str]) -> None:
    """Serve, if that is what it was started for."""
    if words[1:] != ["serve"]:
        refuse(f"ollama knows no {' '.join(words[1:])}")
    serve(about)
