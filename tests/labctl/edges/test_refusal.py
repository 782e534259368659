"""Before the first operation, what cannot be on a host is refused; nobody is asked in vain."""

from dataclasses import dataclass

import pytest

from labctl.edges.host_session import HostSession
from labctl.errors import BadInput
from labctl.hoststate.condition import Condition
from labctl.hoststate.observation import Observations
from labctl.hoststate.resource import Resource
from roles.gpu_power.asked import AskedLimits
from roles.gpu_power.boot_unit import BootUnit
from roles.gpu_power.card_limits import CardLimits
from roles.gpu_power.settings import GpuPowerSettings

CARD = "GPU-aa, 00000000:10:00.0, 24576, 350.00, 350.00, 100.00, 375.00, Enabled, NVIDIA GeForce RTX 3090\n"


@dataclass
class _Session(HostSession):
    """A session whose host answers from `seen`, and keeps what it was asked about first."""

    def __init__(self, texts: dict[str, str]) -> None:
        self._resources = {}
        self._seen = None
        self._answer = Observations(texts=texts)
        self.asked: list[Resource] = []

    def observe(self, resource: Resource) -> Observations:
        self.asked.append(resource)
        self._seen = self._answer
        return self._answer


def session(**settings: object) -> _Session:
    wanted = GpuPowerSettings.model_validate(settings).wanted
    found = _Session({"gpu power": CARD, "gpu power at boot": ""})
    found.register("base", [Condition("first", "true", "", "true")])
    found.register("gpu_power", [BootUnit(AskedLimits(wanted)), CardLimits(wanted)])
    return found


def test_limits_that_the_cards_cannot_have_are_refused_by_one_question_for_all_roles() -> None:
    refusing = session(limits={"rtx-3090": 90})
    with pytest.raises(BadInput, match="100 to 375 W"):
        refusing.refuse()
    assert [resource.name for resource in refusing.asked] == ["first"]


def test_those_that_they_can_have_are_not() -> None:
    asked = session(limits={"rtx-3090": 280})
    asked.refuse()
    assert len(asked.asked) == 1


def test_where_nothing_is_asked_for_the_host_is_not_bothered() -> None:
    bare = session()
    bare.refuse()
    assert bare.asked == []
