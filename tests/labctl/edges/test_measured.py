"""Measurements that a person adds: where they are kept, and what is refused."""

from pathlib import Path

import pytest

from labctl.edges import catalog, measured
from labctl.errors import BadInput, Failed

ONE = """\
measurements:
  - engine: llama.cpp
    model: Llama 3.1 8B
    quant: Q4_K_M
    card: NVIDIA GeForce RTX 3090
    context: 8192
    meter: process
    total_mib: 7000
    source: my own nvidia-smi
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "share"))
    return tmp_path


def written(home: Path, text: str = ONE) -> Path:
    path = home / "mine.yaml"
    path.write_text(text)
    return path


def test_it_is_kept_and_adding_it_again_changes_nothing(home: Path) -> None:
    assert measured.known(carried=False) == ()
    path = written(home)
    assert measured.add(path) == measured.add(path) == measured.known()[:1]
    assert len(measured.known(carried=False)) == 1
    kept = list((home / "share" / "labctl" / "measurements").iterdir())
    assert [each.suffix for each in kept] == [".yaml"]
    assert kept[0].read_text() == ONE


def test_names_become_the_catalogue_s(home: Path) -> None:
    (found,) = measured.add(written(home))
    assert (found.model, found.card) == ("llama-3.1-8b", "rtx-3090")
    (own,) = measured.add(written(home, ONE.replace("Llama 3.1 8B", "a file of mine")))
    assert own.model == "a file of mine"


def test_labctl_s_own_come_behind(home: Path) -> None:
    measured.add(written(home))
    assert measured.known()[0].source == "my own nvidia-smi"
    assert measured.known()[1:] == catalog.measurements()


def test_without_a_folder_of_its_own_it_is_the_usual_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert measured.folder() == tmp_path / ".local" / "share" / "labctl" / "measurements"


REFUSED = [
    (ONE.replace("engine: llama.cpp", "engine: lama.cpp"), ": measurements[0].engine: no engine of that name"),
    (ONE.replace("RTX 3090", "RTX 3091"), ": measurements[0].card: no GPU of that name in the catalogue"),
    (ONE.replace("    total_mib: 7000\n", ""), ":2: `measurements.0`: nothing was measured"),
    (ONE.replace("    meter: process\n", ""), ":2: `measurements.0`: total_mib and meter go together"),
    (ONE.replace("7000", "-7"), ":8: `measurements.0.total_mib`: out of bounds (found -7, expected more than 0)"),
    (ONE.replace("quant:", "quantt:"), ":2: a key is missing (expected `measurements.0.quant`)"),
    (ONE + "    kvtype: f16\n", ":10: unknown key `measurements.0.kvtype` — did you mean `kv_type`?"),
    ("name: a rig\nhosts: []\n", ":1: a key is missing (expected `measurements`)"),
    ("# nothing\n", ": the file is empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED, ids=range(len(REFUSED)))
def test_it_is_refused_and_not_kept(text: str, said: str, home: Path) -> None:
    path = written(home, text)
    with pytest.raises(BadInput) as refused:
        measured.add(path)
    assert str(refused.value).startswith(f"{path}{said}")
    assert measured.known(carried=False) == ()


def test_what_cannot_be_read(home: Path) -> None:
    for path in (home, home / "nosuch"):
        with pytest.raises(BadInput, match="the measurements cannot be read"):
            measured.add(path)


def test_what_cannot_be_kept(home: Path) -> None:
    (home / "share").write_text("a file where a folder should be")
    with pytest.raises(Failed, match=r"the measurements cannot be kept .*set XDG_DATA_HOME"):
        measured.add(written(home))
