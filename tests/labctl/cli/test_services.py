"""`labctl services`: the list, a page about each, and the same for tools.

`UPDATE_CASES=1 python -m pytest tests/labctl/cli/test_services.py` writes the recorded pages anew; read the diff.
"""

import os
from pathlib import Path

import pytest

from labctl.cli.services_text import WIDTH, service_text
from labctl.edges import catalog
from labctl.workloads.service import Service
from tests.labctl.cli.fit_command import Command

PAGES = Path(__file__).parents[2] / "cases" / "services"


@pytest.fixture
def services(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys, "services")


@pytest.mark.parametrize("name", ["", "comfyui", "llama.cpp", "nextcloud", "open-webui"])
def test_what_people_read(name: str, services: Command) -> None:
    said = services(*name.split())
    path = PAGES / f"{name or 'list'}.txt"
    if os.environ.get("UPDATE_CASES") == "1":
        path.write_text(said.out, encoding="utf-8")
    assert (said.code, said.out) == (0, path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("service", catalog.services(), ids=lambda service: service.name)
def test_a_page_is_narrow_and_says_what_there_is(service: Service) -> None:
    page = service_text(service)
    assert [line for line in page.splitlines() if len(line) > WIDTH and "https://" not in line] == []
    for container in service.containers:
        parts = [f"Container {container.name}", *(f"{each.container}/" for each in container.ports)]
        parts += [each.at for each in container.volumes]
        parts += [f"{container.image.name}:{container.image.tag}"] if container.image else []
        assert [part for part in parts if part not in page] == []
    assert all(each.name in page for each in service.secrets)
    assert ("no: nothing of it" in page) is not bool(service.verified)


def test_every_service_is_listed_with_its_use(services: Command) -> None:
    listed = services().out
    for service in catalog.services():
        (line,) = [each for each in listed.splitlines() if each.startswith(f"  {service.name} ")]
        ran: set[str] = {each.image for each in service.verified} or {"no"}
        assert line.endswith(tuple(f" {each}" for each in ran))
        assert "stand-in" not in ran or line.endswith(" stand-in")
        assert len(line) <= WIDTH


def test_what_tools_read_is_the_file_again(services: Command) -> None:
    for told in services("--json").document["services"]:
        references = [each.pop("reference") for each in told["containers"]]
        service = Service.model_validate(told | {"verified": told["verified"] or False}, strict=False)
        assert service.model_dump() == catalog.known_service(told["name"]).model_dump()
        assert references == [each.image.reference if each.image else None for each in service.containers]
    one = services("nextcloud", "--json").document
    assert one["service"] in services("--json").document["services"]
    assert one["schema_version"] == 1


def test_a_service_that_is_not_there(services: Command) -> None:
    said = services("nextclod", "--json")
    assert said.code == 2
    assert said.document["error"]["hint"] == "did you mean nextcloud?"
    far = services("nope", "--json")
    assert (far.code, far.document["error"]["hint"]) == (2, "`labctl services` lists them")
