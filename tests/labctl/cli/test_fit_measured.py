"""`--measured FILE`: kept, told beside the estimate, and heard by the next question."""

from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import Command, gguf
from tests.labctl.edges.test_measured import ONE

QUESTION = ("llama-3.1-8b", "--quant", "Q4_K_M", "--gpu", "rtx-3090")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.yaml"
    path.write_text(ONE)
    return str(path)


def test_it_is_told_beside_the_estimate(fit: Command, mine: str) -> None:
    answer = fit("--measured", mine)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith("Kept 1 in ")
    assert "MiB process: 7000 measured, estimated 6214 (+13%)" in answer.out
    (added,) = fit("--measured", mine, "--json").document["added"]
    assert (added["model"], added["gpu"], added["figures"][0]["measured"]) == (
        "llama-3.1-8b",
        "rtx-3090",
        7000,
    )


def test_the_next_estimate_is_corrected_and_says_so(fit: Command, mine: str) -> None:
    before = fit(*QUESTION, "--json").document
    fit("--measured", mine)
    after = fit(*QUESTION, "--json", "--explain").document
    assert before["memory"]["total_mib"] < 6500
    assert abs(after["memory"]["total_mib"] - 7000) <= 5
    assert after["memory"]["high_mib"] >= 7000
    note = "corrected by a measurement at context 8192: 7000 MiB, my own nvidia-smi"
    assert (note in before["notes"], note in after["notes"]) == (False, True)
    assert note in " ".join(fit(*QUESTION).out.split())
    assert "my own nvidia-smi" in [term["source"] for term in after["terms"]["0"]]
    below, far = (fit(*QUESTION, "--context", context, "--json").document for context in ("2k", "64k"))
    assert (note in below["notes"], note in far["notes"]) == (False, True)


def test_a_smaller_measurement_leaves_no_negative_part(fit: Command, mine: str) -> None:
    path = Path(mine)
    path.write_text(ONE.replace("7000", "5600"))
    fit("--measured", mine)
    memory = fit(*QUESTION, "--json").document["memory"]
    assert memory["scratch_mib"] == 0
    assert memory["compute_mib"] >= 0
    assert memory["high_mib"] >= 5600


def test_with_a_model_it_is_added_first(fit: Command, mine: str) -> None:
    document = fit(*QUESTION, "--measured", mine, "--json").document
    assert document["memory"]["high_mib"] >= 7000


def test_a_file_s_own_name_is_heard_too(fit: Command, mine: str, tmp_path: Path) -> None:
    model = gguf(tmp_path)
    document = fit(model, "--gpu", "rtx-3090", "--json").document
    path = Path(mine)
    path.write_text(ONE.replace("Llama 3.1 8B", document["model"]).replace("Q4_K_M", document["quant"]))
    fit("--measured", mine)
    assert fit(model, "--gpu", "rtx-3090", "--json").document["memory"]["high_mib"] >= 7000


def test_a_model_that_nobody_knows_has_no_estimate_beside_it(fit: Command, mine: str) -> None:
    path = Path(mine)
    path.write_text(ONE.replace("Llama 3.1 8B", "my-own"))
    answer = fit("--measured", mine)
    assert "MiB process: 7000 measured\n" in answer.out
    assert "speaks of a model that is not in the catalogue" in answer.out


def test_a_wrong_file_is_refused(fit: Command, mine: str) -> None:
    Path(mine).write_text(ONE.replace("7000", "many"))
    assert fit.refusal("--measured", mine).startswith(
        f"{mine}:8: `measurements.0.total_mib`: not what belongs here"
    )
