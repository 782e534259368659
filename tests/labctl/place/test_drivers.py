"""Which services run on a host's driver: those below their oldest are refused, with a sentence."""

from dataclasses import replace

import pytest

from labctl.cli.place_reasons import refusal_rows
from labctl.edges import catalog
from labctl.place.drivers import too_old_a_driver
from labctl.place.options import Wish
from labctl.place.placement import place
from labctl.place.question import Question
from labctl.place.suggestion_rig import driver_renewed
from labctl.place.suggestions import suggestions
from labctl.rig.rig import Host, Rig
from labctl.workloads.workload import GpuLimits, Workload
from tests.labctl.place.simulated import card
from tests.labctl.place.test_suggestions import Simulated


def host(driver: str | None) -> Host:
    """One with a 3090."""
    return Host("box", (card(24_000),), ram_mib=65_536, driver=driver)


def wish(service: str, **asked: object) -> Wish:
    """Something that takes a whole card, or what is declared of one."""
    workload = replace(Workload("thing", service, 2), **asked)  # type: ignore[arg-type] # each test says which
    return Wish(workload, catalog.known_service(service), None)


@pytest.mark.parametrize(
    ("service", "gpu", "driver", "runs"),
    [
        ("llama.cpp", "rtx-3090", "570.26", True),
        ("llama.cpp", "rtx-3090", "565.57.01", False),
        ("llama.cpp", "rtx-3090", None, True),
        ("ollama", "rtx-3090", "550.163.01", True),
        ("ollama", "tesla-p40", "550.163.01", False),
        ("ollama", "tesla-p40", "570.1", True),
        ("comfyui", "rtx-3090", "580.65.06", True),
        ("comfyui", "rtx-3090", "575.64", False),
        ("comfyui", "tesla-p40", "575.64", True),
        ("container", "rtx-3090", "390.1", True),
    ],
)
def test_the_oldest_driver(service: str, gpu: str, driver: str | None, runs: bool) -> None:
    found = too_old_a_driver(catalog.known_service(service), driver, catalog.gpu(gpu))
    assert (found is None) is runs, found


@pytest.mark.parametrize("driver", ["565.57.01", "570.26", None])
def test_a_card_below_the_oldest_driver_is_refused_with_the_reason(driver: str | None) -> None:
    found = place(Question((wish("llama.cpp", vram_mib=4000),), Rig("home", (host(driver),))))
    if driver != "565.57.01":
        assert found.placed["thing"].claims_mib
        return
    (refused,) = found.refused
    assert [(each.card, each.reason) for each in refused.refusals] == [("box/0", "driver")]
    (row,) = refusal_rows(found, refused)
    assert row.why == "llama.cpp server needs driver 570.26 or newer there, and 565.57.01 runs"


def test_without_a_card_no_driver_matters() -> None:
    found = place(Question((wish("ollama", gpus=GpuLimits(count=0)),), Rig("home", (host("470.1"),))))
    assert found.placed["thing"].claims_mib == {}


def test_a_newer_driver_is_suggested() -> None:
    found = place(Question((wish("llama.cpp", vram_mib=4000),), Rig("home", (host("565.57.01"),))))
    (best, *_) = suggestions(found, Simulated())["thing"]
    assert (best.kinds, best.writes) == (("driver",), ('hosts.box.driver: "570.26"',))
    assert (best.host, best.cards) == ("box", ("box/0",))


def test_a_driver_that_is_new_enough_is_not_renewed() -> None:
    rig = Rig("home", (host("580.95.05"), replace(host(None), name="den")))
    assert list(driver_renewed(rig, catalog.known_service("llama.cpp"))) == []
