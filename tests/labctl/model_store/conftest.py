"""A hub and a folder for the tests beside."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labctl.edges.hub_server import Hub, serving
from tests.labctl.model_store.pulling import CONTENT, OTHER, Puller


@pytest.fixture
def hub() -> Iterator[Hub]:
    files = {"m.gguf": CONTENT, "a-00001-of-00002.gguf": CONTENT, "a-00002-of-00002.gguf": OTHER}
    with serving(Hub({name: (content, len(content)) for name, content in files.items()})) as hub:
        yield hub


@pytest.fixture
def pull(tmp_path: Path) -> Puller:
    return Puller(tmp_path)
