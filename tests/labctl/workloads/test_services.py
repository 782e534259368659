"""The services of the catalogue: every file is whole and sourced, and a wrong one is told with its line."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import get_args

import pytest
import yaml

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.workloads.container import Filling, Row
from labctl.workloads.service_file import parse

SERVICES = catalog.ROOT / "services"
FILES = sorted(SERVICES.glob("*.yaml"))
WRONG = yaml.safe_load((Path(__file__).parents[2] / "cases" / "services" / "wrong.yaml").read_text())


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_service_is_whole_and_is_called_as_its_file(path: Path) -> None:
    service = parse(path.read_text(), path.name)
    assert service.name == path.stem
    assert catalog.service(path.stem) == service


def test_the_services_that_a_home_asks_for_are_there() -> None:
    wanted = {
        "llama.cpp",
        "ollama",
        "vllm",
        "comfyui",
        "open-webui",
        "home-assistant",
        "nextcloud",
        "miniflux",
        "whisper",
    }
    assert {*wanted, "container", "axolotl"} <= set(catalog.service_names())


def test_a_service_is_a_value_that_nothing_can_change() -> None:
    for service in catalog.services():
        assert hash(service.gpu) == hash(service.gpu.model_copy())
        with pytest.raises(ValueError, match="frozen"):
            service.title = "changed"
        assert isinstance(service.containers, tuple)
        assert isinstance(service.first.volumes, tuple)


def test_a_file_that_calls_its_service_otherwise_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "services").mkdir()
    (tmp_path / "services" / "planted.yaml").write_text((SERVICES / "llama.cpp.yaml").read_text())
    monkeypatch.setattr(catalog, "ROOT", tmp_path)
    with pytest.raises(BadInput, match=r"services/planted\.yaml: name: .*found llama\.cpp, expected planted"):
        catalog.service("planted")


@pytest.mark.parametrize(
    "case",
    WRONG,
    ids=lambda case: f"{case['of']}: {case['after'].strip() or 'without ' + case['before'].strip()}"[:60],
)
def test_a_wrong_service_is_told_with_its_line(case: dict[str, str]) -> None:
    text = (SERVICES / f"{case['of']}.yaml").read_text()
    assert case["before"] in text
    wrong = text.replace(case["before"], case["after"], 1)
    with pytest.raises(BadInput) as refused:
        parse(wrong, "x.yaml")
    file, number, told = str(refused.value).split(":", 2)
    assert (file, told.strip()) == ("x.yaml", case["told"])
    assert wrong.splitlines()[int(number) - 1].strip() == case["line"]


_CUDA_OF_TAG = re.compile(r"cu(?:da-)?(1\d)\.?(\d)")
# A reason or a choice that a file may have to give, and none of ours has to so far.
NOT_YET = {"Security.new_privileges", "Port.protocol"}


def said(row: Row) -> Iterator[str]:
    """Every field of a value and of its parts that a file sets."""
    for name in row.model_fields_set:
        yield f"{type(row).__name__}.{name}"
    for value in dict(row).values():
        inner = (
            value if isinstance(value, tuple) else value.values() if isinstance(value, Mapping) else (value,)
        )
        for each in inner:
            if isinstance(each, Row):
                yield from said(each)


def test_every_field_is_used_by_some_service() -> None:
    used = {field for service in catalog.services() for field in said(service)}
    kinds = [kind for kind in Row.__subclasses__() if kind.__module__.startswith("labctl.workloads")]
    fields = {f"{kind.__name__}.{name}" for kind in kinds for name in kind.model_fields}
    assert len(fields) > 80
    assert fields - used == NOT_YET


def test_every_value_that_rendering_fills_in_is_asked_for() -> None:
    texts = "".join(path.read_text() for path in FILES)
    assert [each for each in get_args(Filling) if f"value: {each}}}" not in texts] == []


def test_the_oldest_driver_and_the_image_go_by_the_card() -> None:
    ollama, comfyui = catalog.known_service("ollama"), catalog.known_service("comfyui")
    assert (ollama.gpu.driver_for((6, 1)), ollama.gpu.driver_for((7, 0))) == ("570", "550")
    images = [comfyui.image_for(capability) for capability in ((6, 1), (7, 5), None)]
    assert [image and image.tag for image in images] == ["cu126-slim", "cu130-slim-v2", "cu130-slim-v2"]


def test_the_cuda_of_a_service_is_that_of_its_tag() -> None:
    named = {
        service.name: (service.gpu.cuda, f"{found[1]}.{found[2]}")
        for service in catalog.services()
        if service.first.image and (found := _CUDA_OF_TAG.search(service.first.image.tag))
    }
    assert {name for name, (cuda, of_tag) in named.items() if cuda != of_tag} == set()
    assert set(named) == {"axolotl", "comfyui", "vllm", "whisper"}


def test_where_data_and_models_are() -> None:
    assert catalog.known_service("vllm").first.models_at == "/models"
    assert catalog.known_service("nextcloud").first.models_at is None
    assert catalog.known_service("nextcloud").data_volumes == ("html", "db")
    assert catalog.known_service("ollama").data_volumes == ("models",)
    assert catalog.known_service("container").data_volumes == ()
