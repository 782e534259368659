"""Which image a container is told to run where data moves one way with it."""

from typing import Any

from labctl.render.render import Rendered
from labctl.workloads.service import Service
from tests.labctl.plan.plans import plan, runs
from tests.labctl.render.cases import SERVICES, facts, lines, rendered, texts

_OLD_WEB, _OLD_DB = "docker.io/library/nextcloud:33.0.1-apache", "docker.io/library/postgres:17.8"
_DB = "labctl-files-db.service"


def made(last: dict[str, str], **more: Any) -> Rendered:
    return rendered(plan({"files": runs("nextcloud", **more)}), facts(data_images=last))


def images(found: Rendered) -> dict[str, str]:
    """By container, as the files have it; the manifest says the same."""
    files = {
        path.rpartition("/")[2].removesuffix(".container").removeprefix("labctl-"): lines(text, "Image")
        for path, text in texts(found).items()
        if path.endswith(".container")
    }
    said = {unit.name: [unit.image] for unit in found.manifest.units if unit.container}
    assert files == said
    assert {each.name for each in found.manifest.images} == {each for (each,) in files.values()}
    return {name: image for name, (image,) in files.items()}


def of_catalogue(service: Service, container: str) -> str:
    found = service.container(container)
    assert found is not None
    assert found.image is not None
    return found.image.reference


def test_an_image_of_the_person_s_is_for_all_containers_of_that_program() -> None:
    nextcloud = SERVICES["nextcloud"]
    assert images(made({}, image=_OLD_WEB)) == {
        "files": _OLD_WEB,
        "files-cron": _OLD_WEB,
        "files-db": of_catalogue(nextcloud, "db"),
        "files-cache": of_catalogue(nextcloud, "cache"),
    }


def test_a_companion_stays_on_the_image_that_its_data_is_of() -> None:
    new, there = images(made({})), made({_DB: _OLD_DB, "labctl-files.service": _OLD_WEB})
    assert images(there) == new | {"files-db": _OLD_DB}
    assert there.held_back == {"files-db": new["files-db"]}
    known = {_DB: new["files-db"], "labctl-files-cache.service": "docker.io/valkey/valkey:7"}
    assert made(known) == made({})
    assert made({}).held_back == {}


def test_data_that_two_containers_share_moves_with_the_first() -> None:
    assert {unit.name for unit in made({}).manifest.units if unit.migrates} == {"files", "files-db"}


def test_a_service_that_does_not_migrate_is_held_by_nothing() -> None:
    there = plan({"chat": runs("ollama")})
    assert rendered(there, facts(data_images={"labctl-chat.service": "x:1"})) == rendered(there)
