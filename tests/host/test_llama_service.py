"""What the demo says when its unit is wrong, or cannot start."""

from collections.abc import Callable
from pathlib import Path

import pytest

from labctl.edges.templates import render
from labctl.errors import Failed
from tests.host import llama_service
from tests.host.converged import converged_layer
from tests.host.hosts import ThrowawayHosts
from tests.host.llama_image import LlamaImage
from tests.host.throwaway_host import ThrowawayHost

_IMAGE = LlamaImage(Path("never-read.tar"), "1:0.0-1", was_cached=True)
_UNIT_FILE = "/etc/containers/systemd/llama-server.container"


@pytest.fixture
def host(throwaway_hosts: ThrowawayHosts, boot_host: Callable[..., ThrowawayHost]) -> ThrowawayHost:
    return boot_host("aibox", layer=converged_layer(throwaway_hosts))


def test_a_unit_that_quadlet_would_skip_never_gets_in_place(
    host: ThrowawayHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def misspelt(beside: str, name: str, **values: object) -> str:
        return render(beside, name, **values).replace("ReadOnly=", "ReadOnlyRoot=")

    monkeypatch.setattr(llama_service, "render", misspelt)
    with pytest.raises(Failed, match="unsupported key 'ReadOnlyRoot'"):
        llama_service.install_unit(host, _IMAGE, tmp_path)
    assert host.run(f"test -e {_UNIT_FILE}", check=False).returncode == 1


def test_a_unit_that_cannot_start_shows_its_log(host: ThrowawayHost, tmp_path: Path) -> None:
    llama_service.install_unit(host, _IMAGE, tmp_path)
    assert host.run(f"cat {_UNIT_FILE}").stdout == (tmp_path / "llama-server.container").read_text()
    with pytest.raises(Failed, match=r"llama-server\.service does not start: (?s:.*)1-0\.0-1"):
        llama_service.start(host)
