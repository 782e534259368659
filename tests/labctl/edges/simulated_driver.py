"""A simulated NVIDIA driver in this process, by the compiled library where there is a compiler, and by the fake."""

import ctypes
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

import pynvml
import pytest

from labctl.edges import nvml
from labctl.rig.reported import Process
from labctl.rig.rig import Host
from tests.simulated_nvml.build import build, compiler
from tests.simulated_nvml.description import describe
from tests.simulated_nvml.fake import FakeNvml

KINDS = ("fake", "library") if compiler() else ("fake",)


class SimulatedDriver:
    """One driver. What a test does to it lasts until `reboot`."""

    def __init__(self, kind: str, folder: Path, library: Path | None) -> None:
        self.kind = kind
        self.library = library
        self.description = folder / "cards"
        self.state = folder / "state"
        self.state.mkdir()

    def load(
        self, host: Host, processes: Mapping[int, Sequence[Process]] | None = None, **versions: str | int
    ) -> None:
        """Describe the machine's cards."""
        self.description.write_text(describe(host, processes, **versions))  # type: ignore[arg-type]  # describe's own

    def fail(self, what: str, how: str, value: int = 1) -> None:
        """what: a card's UUID, or `driver`. how: lost, mismatch, not-loaded, xid, ecc-errors."""
        (self.state / f"{what}.{how}").write_text(str(value))

    def reboot(self) -> None:
        """As /run is emptied."""
        for path in self.state.iterdir():
            path.unlink()


@pytest.fixture(scope="session")
def simulated_library(tmp_path_factory: pytest.TempPathFactory) -> Path | None:
    """The compiled library, None where there is no compiler."""
    return build(tmp_path_factory.mktemp("nvml")) if compiler() else None


@pytest.fixture(params=KINDS)
def simulated_driver(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    simulated_library: Path | None,
) -> SimulatedDriver:
    """A driver that labctl.edges.nvml talks to in this process."""
    driver = SimulatedDriver(request.param, tmp_path, simulated_library)
    monkeypatch.setenv("SIMULATED_NVML", str(driver.description))
    monkeypatch.setenv("SIMULATED_NVML_STATE", str(driver.state))
    monkeypatch.setattr(nvml, "_DEVICES", ("/dev/null",))
    if request.param == "fake":
        monkeypatch.setitem(sys.modules, "pynvml", cast(ModuleType, FakeNvml()))
    else:
        assert simulated_library is not None
        monkeypatch.setattr(pynvml, "nvmlLib", ctypes.CDLL(str(simulated_library)))
        monkeypatch.setattr(pynvml, "_nvmlGetFunctionPointer_cache", {})
    return driver
