"""Generated questions: simulated models and services on rigs of the catalogue's cards, through the code for options."""

from dataclasses import dataclass, replace
from random import Random

from labctl.estimate.candidates.candidate import Processor, Runner
from labctl.estimate.claim import Estimate
from labctl.estimate.range import Range
from labctl.estimate.speed import Speed
from labctl.place.options import Wish
from labctl.place.placement import Question, problem_of
from labctl.place.problem import Incumbent
from labctl.rig.rig import Card, Cpu, Host, Rig
from labctl.workloads.service_file import parse
from labctl.workloads.workload import Amount, GpuLimits, Window, Workload
from tests.labctl.place.simulated import Straight, card

CARDS = (("rtx-3090", 24_000), ("rtx-3090", 24_000), ("rtx-3060", 12_000), ("tesla-p40", 22_500))
SERVICE = parse(
    """
name: simulated
title: Simulated
use: language
engine: llama.cpp
needs_model: false
loads: at_start
elastic: false
stateful: false
migrates: false
ram_mib: 256
disk_mib: 1024
gpu: {use: optional}
containers: [{name: main, image: null, security: {}, start_seconds: 1, stop_seconds: 1}]
documentation: https://simulated.example/
sources: []
verified: no
""",
    "simulated.yaml",
)


@dataclass(frozen=True)
class Timed(Straight):
    """Simulated, with a speed: what is read per token, over the bandwidth of the cards and of the host."""

    def speed(
        self, quant: str, estimate: Estimate, runners: tuple[Runner, ...], processor: Processor
    ) -> Speed | None:
        seconds = estimate.host.of("weights") / 50e9
        for each, runner in zip(estimate.cards, runners, strict=False):
            seconds += each.expected / ((runner.gpu.bandwidth_gbs or 1.0) * 1e9)
        rate = 1 / (seconds + 0.0001)
        return Speed(Range(rate, rate, rate), None, ())


def question(seed: int) -> Question:
    """The same for the same seed."""
    random = Random(seed)
    rig = _rig(random)
    names = [f"w{number}" for number in range(random.randint(2, 5))]
    wishes = tuple(_wish(random, name, names, rig) for name in names)
    asked = Question(wishes, rig, rebalance=random.random() < 0.1)
    return replace(asked, incumbents=_incumbents(random, asked)) if random.random() < 0.5 else asked


def _rig(random: Random) -> Rig:
    hosts = []
    for name in ["box", "den"][: random.choice([1, 1, 2])]:
        if random.random() < 0.1:
            hosts.append(Host(name, (card(100_000, 0, "dgx-spark", name),), ram_mib=110_000))
            continue
        linked = random.random() < 0.5
        one_kind = random.choice(CARDS)
        alike = random.random() < 0.6
        cards: list[Card] = []
        count = random.randint(1, 3)
        for index in range(count):
            gpu, memory_mib = one_kind if alike else random.choice(CARDS)
            peers = (index ^ 1,) if linked and (index ^ 1) < count else ()
            foreign = random.choice([0, 0, 0, 2000])
            cards.append(replace(card(memory_mib, index, gpu, name, 1024), nvlink=peers, foreign_mib=foreign))
        ram_mib = random.choice([None, 16_384, 65_536])
        watts = random.choice([None, 1600, 1600, 500])
        hosts.append(
            Host(name, tuple(cards), Cpu(tdp_watts=100), ram_mib=ram_mib, psu_watts=watts, disk_gib=500)
        )
    return Rig("generated", tuple(hosts))


def _wish(random: Random, name: str, names: list[str], rig: Rig) -> Wish:
    number = names.index(name)
    job = number == len(names) - 1 and random.random() < 0.4
    others = [each for each in names if each != name]
    workload = Workload(
        name,
        "simulated",
        1,
        context=random.choice([None, Amount(16_384, 8192), Amount(32_768, 8192)]),
        parallel=random.choice([Amount(1, 1), Amount(1, 1), Amount(4, 2)]),
        kv_types=random.choice([(), ("f16", "q8_0")]),
        priority=random.choice([20, 50, 50, 100]),
        load=random.choice([1, 1, 3, 0]),
        offload=random.random() < 0.4,
        gpus=GpuLimits(
            count=random.choice([None, None, 1, 2]),
            host=random.choice([None, None, None, rig.hosts[0].name]),
            exclusive=random.random() < 0.1,
        ),
        apart_from=tuple(random.sample(others, 1)) if random.random() < 0.25 else (),
        displaces=tuple(random.sample(others, 1)) if job else (),
        when=Window(60, 300) if job and random.random() < 0.5 else None,
        vram_mib=random.choice([1500, 9000]) if random.random() < 0.2 else None,
        ports=("9000:80",) if random.random() < 0.2 else (),
    )
    service = SERVICE.model_copy(update={"stateful": random.random() < 0.2, "elastic": random.random() < 0.1})
    candidate = Timed(
        random.choice([2000, 14_000, 30_000, 60_000]),
        random.choice([20_000, 130_000]),
        quants=random.choice([("Q8_0", "Q4_K_M"), ("F16", "Q8_0", "Q4_K_M"), ("Q4_K_M",)]),
        layers=random.choice([(32, False), (48, True)]),
    )
    no_model = workload.vram_mib is not None or random.random() < 0.15
    return Wish(workload, service, None if no_model else candidate)


def _incumbents(random: Random, asked: Question) -> dict[str, Incumbent]:
    """Some run already: as some option says, on other cards, or in a way that nobody offers any more."""
    found = {}
    options = problem_of(asked).options
    for wish in asked.wishes:
        own = [each for each in options if each.workload == wish.workload.name]
        if own and random.random() < 0.6:
            option = random.choice(own)
            variant_id = random.choice([option.variant_id] * 4 + ["gone", "{}"])
            cards = tuple(sorted(option.claims_mib)) if random.random() < 0.8 else ("gone",)
            found[wish.workload.name] = Incumbent(option.host, cards, variant_id)
    return found
