"""The services of the catalogue: every file is whole and sourced, and a wrong one is told with its line."""

from pathlib import Path

import pytest
import yaml

from labctl.edges import catalog
from labctl.errors import BadInput
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
    with pytest.raises(BadInput) as refused:
        parse(text.replace(case["before"], case["after"], 1), f"{case['of']}.yaml")
    assert str(refused.value) == case["told"]
