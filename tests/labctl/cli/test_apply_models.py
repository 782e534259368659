"""What `labctl apply` asks of the models on a simulated host."""

from tests.labctl.apply.house import CARDS, Applying, House
from tests.labctl.apply.simulated_shell import SimulatedShell
from tests.labctl.plan.plans import claims, runs


def test_what_lets_a_model_see_has_to_be_there_too(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    model = runs(
        "llama.cpp", cards=claims(first=8000), model="qwen2.5-7b", vision="mmproj",
        variant={"quant": "Q8_0", "context": 8192, "parallel": 1, "kv_type": "f16"},
    )  # fmt: skip
    house.write({"chat": model})
    shell.models = {"qwen2.5-7b/qwen2.5-7b-Q8_0.gguf"}
    answer = apply("--yes")
    assert answer.code == 3
    assert "no qwen2.5-7b/mmproj.gguf" in " ".join(answer.out.split())


def test_an_engine_that_is_told_of_no_file_starts_without(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    images = runs("comfyui", cards=claims(first=8000), model="sdxl", variant={"quant": "fp16"})
    house.write({"images": images})
    shell.models = set()
    assert apply("--yes").code == 0


def test_a_model_that_is_not_there_is_to_be_pulled(
    apply: Applying, house: House, shell: SimulatedShell
) -> None:
    model = runs(
        "llama.cpp", cards=claims(first=8000), model="qwen2.5-7b",
        variant={"quant": "Q8_0", "context": 8192, "parallel": 1, "kv_type": "f16"},
    )  # fmt: skip
    house.write({"chat": model})
    answer = apply("--yes")
    assert answer.code == 3
    assert "no qwen2.5-7b/qwen2.5-7b-Q8_0.gguf" in " ".join(answer.out.split())
    assert "labctl models pull" in answer.out
    shell.models = {"qwen2.5-7b/qwen2.5-7b-Q8_0.gguf"}
    shell.cards = tuple((card, memory, "535.1") for card, memory, _ in CARDS)
    assert "the driver is too old" in apply("--yes").out
    shell.cards = CARDS
    assert apply("--yes").code == 0
    shell.models.add("qwen2.5-7b/qwen2.5-7b-Q8_0.gguf.part-1")
    assert "arguments -m" in apply("--yes").out
