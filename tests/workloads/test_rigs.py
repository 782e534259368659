"""The rig files that labctl carries: each is read, and a question about it has an answer."""

from pathlib import Path

import pytest

from labctl.edges.rigs import read_rig
from tests.labctl.cli.fit_command import command

RIGS = sorted(Path("workloads/rigs").glob("*.yaml"))
rigs = pytest.mark.parametrize("path", RIGS, ids=lambda path: path.stem)


@rigs
def test_it_is_a_rig_of_its_own_name(path: Path) -> None:
    rig = read_rig(str(path))
    assert rig.name == path.stem
    assert rig.cards
    assert all(card.memory_mib and card.usable_mib for card in rig.cards)
    for host in rig.hosts:
        assert host.ram_mib
        assert host.psu_watts
        assert host.cpu.memory_bandwidth_gbs


@rigs
def test_llama_fits_or_it_is_said_why(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fit = command(capsys, monkeypatch, tmp_path)
    document = fit("llama-3.1-8b", "--rig", str(path), "--json").document
    fits = [each for each in document["fits"] if each["fits"]]
    assert document["answer"] == bool(fits)
    # 2 × 4 GB are the smallest of them: what does not fit there as asked does with a shorter context.
    assert fits or [each["change"] for each in document["suggestions"]]


def test_there_are_the_seed_builds() -> None:
    assert {path.stem for path in RIGS} >= {
        "budget-3060",
        "dgx-spark",
        "dual-3090",
        "quad-3090-epyc",
        "seven-gpu-epyc",
        "single-5090",
        "super-budget",
    }
