"""`labctl apply` where the catalogue has another image than data that moves one way with it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from labctl.edges import catalog
from labctl.workloads.container import Container
from labctl.workloads.service import Service
from tests.labctl.apply.house import HOME, UI, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedShell
from tests.labctl.plan.plans import runs

_OLDER = {"docker.io/library/nextcloud": "33", "docker.io/library/postgres": "17.8"}


def with_older_images(services: Sequence[Service]) -> tuple[Service, ...]:
    """The catalogue as it was some months before, as far as Nextcloud goes."""

    def container(each: Container) -> Container:
        if each.image is None or each.image.name not in _OLDER:
            return each
        image = each.image.model_copy(update={"tag": _OLDER[each.image.name], "digest": None})
        return each.model_copy(update={"image": image})

    return tuple(
        service.model_copy(update={"containers": tuple(map(container, service.containers))})
        for service in services
    )


def test_data_that_moves_one_way_is_left_to_update(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    home = runs("home-assistant", image="localhost/ha:1")
    house.write({"ha": home})
    assert apply("--yes").code == 0
    shell.asked.clear()
    house.write({"ha": replace(home, image="localhost/ha:2")})
    answer = apply("--yes")
    assert (answer.code, shell.touched) == (3, False)
    told = " ".join(answer.out.split())
    assert (
        "keep it: `image: localhost/ha:1` under ha in the workloads file, then place and apply again" in told
    )
    assert "labctl update does not move services yet" in told


def test_a_newer_catalogue_keeps_nobody_from_a_change_of_something_else(
    apply: Applying, house: House, shell: SimulatedShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = catalog.services()
    monkeypatch.setattr(catalog, "services", lambda: with_older_images(now))
    files = runs("nextcloud")
    house.write({**HOME, "files": files})
    assert apply("--yes").code == 0
    monkeypatch.setattr(catalog, "services", lambda: now)
    changed = {**HOME, "ui": replace(UI, env={"COLOR": "blue"})}
    house.write({**changed, "files": files})
    refused = apply("--yes", "--json").document["hosts"]["aibox"]["refusals"]
    assert [each["where"] for each in refused] == ["files"]
    assert refused[0]["hint"].startswith("keep it: `image: docker.io/library/nextcloud:33` under files in ")
    shell.host.started.clear()
    house.write({**changed, "files": replace(files, image="docker.io/library/nextcloud:33")})
    answer = apply("--yes")
    assert answer.code == 0, answer.out
    told = " ".join(answer.out.split())
    assert "note: files-db stays on docker.io/library/postgres:17.8, which its data is of" in told
    assert not [name for name in shell.host.started if name.startswith("labctl-files-")]
    assert "labctl-ui" in shell.host.started
    assert apply().out.startswith("aibox: nothing to change")
