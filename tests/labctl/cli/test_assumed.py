"""`labctl place` about a rig as it would be: what was assumed is done and said, and what cannot be meant is refused."""

from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import Answer, Command

SMALL = "workloads/rigs/super-budget.yaml"
DUAL = "workloads/rigs/dual-3090.yaml"
SEVEN = "workloads/rigs/seven-gpu-epyc.yaml"
CLAIMS = """\
workloads:
  big: {service: container, image: registry.example/big:1, vram_mib: 9000}
  chat: {service: llama.cpp, model: qwen2.5-0.5b, quant: Q4_K_M, context: 2048}
"""


@pytest.fixture
def ask(place: Command, tmp_path: Path) -> Command:
    file = tmp_path / "w.yaml"
    file.write_text(CLAIMS)

    class Ask(Command):
        def __call__(self, *arguments: str) -> Answer:
            return place(str(file), "--rig", *arguments)

    return Ask(place._capsys, "place")


def models(said: Answer) -> list[tuple[str, str]]:
    return [(each["uuid"], each["model"]) for each in said.document["gpus"]]


def test_what_is_there_does_not_hold_it(ask: Command) -> None:
    said = ask(SMALL, "--json")
    assert said.code == 3
    assert said.document["assumptions"] == []


def test_a_card_more_holds_it_and_is_named(ask: Command) -> None:
    arguments = (SMALL, "--without", "quadro-m2000:2", "--add", "rtx-3060:1", "--power-limit", "rtx-3060=150")
    said = ask(*arguments, "--json")
    assert said.code == 0
    assert models(said) == [("optiplex/new-1", "rtx-3060")]
    assert said.document["power"]["optiplex"]["gpu_watts"] == 150
    assert said.document["assumptions"] == [
        "without Quadro M2000 optiplex/1, Quadro M2000 optiplex/0",
        "with 1 × RTX 3060 12G added",
        "with every RTX 3060 12G held to 150 W",
    ]
    text = ask(*arguments).out
    assert "fit on super-budget without Quadro M2000" in " ".join(text.split())
    assert "with 1 × RTX 3060 12G added" in " ".join(text.split())
    assert all(len(line) <= 80 for line in text.splitlines())


def test_without_takes_a_name_or_a_model(ask: Command) -> None:
    assert models(ask(DUAL, "--without", "aibox/0", "--json")) == [("aibox/1", "rtx-3090")]
    assert models(ask(DUAL, "--without", "rtx-3090:1", "--json")) == [("aibox/0", "rtx-3090")]
    left = ask(
        SEVEN, "--without", "tesla-p40", "--without", "rtx-3090:3", "--without", "rtx-3060:1", "--json"
    )
    assert models(left) == [("frame/0", "rtx-3090"), ("frame/4", "rtx-3060")]


def test_of_equal_cards_a_bridged_pair_stays(ask: Command, tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text("name: r\nhosts: [{name: h, nvlink: [[1, 2]], gpus: [{model: rtx-3090, count: 3}]}]\n")
    left = models(ask(str(rig), "--without", "rtx-3090:1", "--json"))
    assert left == [("h/1", "rtx-3090"), ("h/2", "rtx-3090")]


def test_a_lower_limit_is_slower_and_draws_less(ask: Command) -> None:
    def speed(said: Answer) -> float:
        return next(
            float(each["tokens_per_second"])
            for each in said.document["placements"]
            if each["workload"] == "chat"
        )

    usual, held = ask(DUAL, "--json"), ask(DUAL, "--power-limit", "150", "--json")
    assert speed(held) < speed(usual)
    assert held.document["power"]["aibox"]["gpu_watts"] == 300
    one = ask(DUAL, "--power-limit", "aibox/1=150", "--json")
    assert one.document["power"]["aibox"]["gpu_watts"] == 280 + 150
    both = ask(DUAL, "--power-limit", "rtx-3090=200", "--json")
    assert both.document["power"]["aibox"]["gpu_watts"] == 400
    assert both.document["assumptions"] == ["with every RTX 3090 held to 200 W"]
    assert one.document["assumptions"] == ["with aibox/1 held to 150 W"]


def test_more_ram(ask: Command, tmp_path: Path) -> None:
    rig = tmp_path / "rig.yaml"
    rig.write_text("name: r\nhosts: [{name: h, gpus: [{model: rtx-3090}], ram_gib: 0.5}]\n")
    assert ask(str(rig)).code == 3
    for ram in ("64", "64:h", "12.5"):
        assert ask(str(rig), "--ram", ram).code == 0
    assert "with 64 GiB of RAM in h." in " ".join(ask(str(rig), "--ram", "64:h").out.split())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--add", "rtx-309"), ("--add", "no GPU of that name", "did you mean rtx-3090")),
        (("--add", "rtx-3090:0"), ("--add", "not a number of cards", "found 0")),
        (("--add", "rtx-3090:2:aibox:x"), ("--add", "GPU:N:HOST")),
        (("--add", "rtx-3090:nowhere"), ("--add", "no host of that name", "found nowhere", "aibox")),
        (("--add", "rtx-3090:2:"), ("--add", "GPU:N:HOST")),
        (("--add", "dgx-spark"), ("--add", "a machine of its own")),
        (("--without", "rtx-3090"), ("--without", "aibox/0 or aibox/1", "rtx-3090:1 if any")),
        (("--without", "rtx-3090:3"), ("--without", "fewer", "2 at most")),
        (("--without", "rtx-3090:x"), ("--without", "GPU or GPU:N")),
        (("--without", "rtx-3060"), ("--without", "no such card in the rig", "aibox/0, aibox/1, rtx-3090")),
        (("--power-limit", "50"), ("--power-limit", "found 50 W", "100 to 375 W")),
        (("--power-limit", "=250"), ("--power-limit", "WATTS or GPU=WATTS")),
        (("--power-limit", "rtx-4090=250"), ("--power-limit", "no such card in the rig")),
        (("--power-limit", "much"), ("--power-limit", "WATTS or GPU=WATTS")),
        (("--ram", "nan"), ("--ram", "not an amount of RAM")),
        (("--ram", "64:"), ("--ram", "GIB or GIB:HOST")),
        (("--ram", "64:nowhere"), ("--ram", "no host of that name")),
        (("--ram", "1e9"), ("--ram", "not an amount of RAM")),
    ],
    ids=" ".join,
)
def test_what_cannot_be_meant(arguments: tuple[str, ...], words: tuple[str, ...], ask: Command) -> None:
    said = ask.refusal(DUAL, *arguments)
    assert all(word in said for word in words), said


def test_cards_that_no_driver_runs_together_are_refused(ask: Command) -> None:
    said = ask.refusal(SEVEN, "--add", "rtx-5090")
    assert "no driver runs both a Tesla P40" in said
    assert "GeForce RTX 5090" in said
    assert ask(SEVEN, "--without", "tesla-p40", "--add", "rtx-5090").code == 0
    assert "no driver of today runs a Tesla K80" in ask.refusal(DUAL, "--add", "tesla-k80")


def test_a_card_that_is_gone_already_can_be_left_out_by_the_plan_that_has_it(
    ask: Command, tmp_path: Path
) -> None:
    """As an apply says it of a card that does not answer: the machine, asked live, has it no more."""
    rig, plan = tmp_path / "rig.yaml", tmp_path / "plan.json"
    first, second = (f"GPU-{each * 8}-0000-4000-8000-000000000000" for each in "ab")

    def there(*cards: str) -> str:
        lines = [f"      - {{model: rtx-3090, uuid: {each}}}" for each in cards]
        rig.write_text("\n".join(("name: r", "hosts:", "  - name: h", "    gpus:", *lines, "")))
        return str(rig)

    assert ask(there(first, second), "--out", str(plan)).code == 0
    left = there(first)
    said = ask(left, "--without", second, "--keep", str(plan), "--json")
    assert (said.code, models(said)) == (0, [(first, "rtx-3090")])
    assert said.document["assumptions"] == [f"without rtx-3090 {second}"]
    unknown = ask.refusal(left, "--without", second.replace("b", "c"), "--keep", str(plan))
    assert "no such card in the rig" in unknown
    assert "--keep PLAN" in ask.refusal(left, "--without", second)
