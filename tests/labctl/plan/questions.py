"""Generated questions of real workloads, services and cards; only the models are simulated, to be quick."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from random import Random

from labctl.edges import catalog
from labctl.place.options import Wish
from labctl.place.placement import Placement, Question, place
from labctl.place.solver import Budget
from labctl.plan.keep import incumbents
from labctl.plan.make import plan_of
from labctl.plan.plan import Plan
from labctl.rig.rig import Card, Cpu, Host, Rig, default_reserved_mib, visible_mib
from labctl.workloads.workload import Amount, GpuLimits, Window, Workload
from tests.labctl.place.simulated import Straight

MODELS, UNIFIED = ("rtx-3090", "rtx-3090", "rtx-3060", "quadro-m2000"), ("dgx-spark",)
SERVICES = ("container", "container", "open-webui", "nextcloud", "ollama", "llama.cpp", "llama.cpp")


def uuid(number: int) -> str:
    return f"GPU-{number:08x}-0000-4000-8000-{number:012x}"


def card(host: str, index: int, model: str, number: int) -> Card:
    gpu = catalog.gpu(model)
    memory = visible_mib(gpu)
    return Card(uuid(number), host, index, gpu, memory, default_reserved_mib(memory))


def rig(random: Random) -> Rig:
    """One or two hosts with one to three cards."""
    hosts = []
    for number in range(random.randint(1, 2)):
        name = f"box{number}"
        unified = random.random() < 0.1
        models = UNIFIED if unified else MODELS
        cards = tuple(
            card(name, index, random.choice(models), 16 * number + index)
            for index in range(1 if unified else random.randint(1, 3))
        )
        hosts.append(Host(name, cards, Cpu(memory_bandwidth_gbs=50.0), ram_mib=64_216))
    return Rig("generated", tuple(hosts))


def wish(random: Random, number: int, others: list[str]) -> Wish:
    """A workload of some service, with what only that service takes."""
    name, service = f"w{number}", random.choice(SERVICES)
    workload = Workload(
        name,
        service,
        number,
        priority=random.choice([20, 50, 50, 90]),
        load=random.choice([1, 1, 3]),
        ports=random.choice([(), (), ("8080",), (f"{9000 + number}:80", "53/udp")]),
        env=(("NAME", name),),
        apart_from=tuple(random.sample(others, 1)) if others and random.random() < 0.1 else (),
    )
    candidate = None
    if service == "container":
        job = others and random.random() < 0.2
        workload = replace(
            workload,
            image="example.org/image:1",
            vram_mib=random.choice([None, 1500, 6000, 11000]),
            displaces=tuple(random.sample(others, 1)) if job else (),
            when=Window(60, 420) if job else None,
        )
    if service == "llama.cpp":
        workload = replace(
            workload,
            model="straight",
            context=Amount(16384, random.choice([4096, 16384])),
            kv_types=("f16",),
            gpus=GpuLimits(count=random.choice([None, None, 1, 2])),
        )
        weights = random.choice([4000, 12000, 30000])
        candidate = Straight(weights, 200_000, quants=("Q8_0", "Q4_K_M"), context_train=32768)
    found = catalog.service(service)
    assert found is not None
    return Wish(workload, found, candidate)


def question(seed: int) -> Question:
    """The same for the same seed."""
    random = Random(f"plan {seed}")
    found = rig(random)
    wishes: list[Wish] = []
    for number in range(random.randint(3, 6)):
        jobs = {each.workload.name for each in wishes if each.workload.displaces}
        wishes.append(
            wish(random, number, [f"w{other}" for other in range(number) if f"w{other}" not in jobs])
        )
    return Question(tuple(wishes), found)


def answered(asked: Question, kept: Plan | None = None) -> tuple[Plan, Placement]:
    """Its plan, by the kept one where there is one."""
    running = incumbents(kept) if kept else asked.incumbents
    placement = place(replace(asked, incumbents=running), Budget(steps=200_000))
    return plan_of(placement, kept), placement


def earlier(asked: Question) -> Question:
    """What was asked before: without a card, and without the last workload."""
    hosts = list(asked.rig.hosts)
    if len(hosts[0].cards) > 1:
        hosts[0] = replace(hosts[0], cards=hosts[0].cards[:-1])
    wishes = asked.wishes[:-1]
    names = {each.workload.name for each in wishes}
    return replace(asked, rig=replace(asked.rig, hosts=tuple(hosts)), wishes=tuple(trimmed(wishes, names)))


def trimmed(wishes: tuple[Wish, ...], names: set[str]) -> Iterator[Wish]:
    """Without what names a workload that is not there."""
    for each in wishes:
        known = tuple(name for name in each.workload.displaces if name in names)
        apart = tuple(name for name in each.workload.apart_from if name in names)
        yield replace(each, workload=replace(each.workload, displaces=known, apart_from=apart))


def used(asked: Question, held_mib: Mapping[str, int]) -> Question:
    """While other processes hold so much of the cards, and another kernel a little more of the RAM."""
    busy = _with_cards(asked, lambda cards: [replace(each, foreign_mib=held_mib[each.id]) for each in cards])
    hosts = tuple(replace(host, ram_mib=(host.ram_mib or 0) - 24) for host in busy.rig.hosts)
    return replace(busy, rig=replace(busy.rig, hosts=hosts))


def without(asked: Question, dead: str) -> Question:
    """After a card died; those behind it in PCI order move up."""
    return _with_cards(asked, lambda cards: [each for each in cards if each.id != dead])


def swapped(asked: Question, old: str, new: str, model: str | None = None) -> Question:
    """With another card in the place of one, of the same model unless said."""

    def swap(each: Card) -> Card:
        if each.id != old:
            return each
        return replace(each if model is None else card(each.host, each.index, model, 0), id=new)

    return _with_cards(asked, lambda cards: [swap(each) for each in cards])


def _with_cards(asked: Question, change: Callable[[list[Card]], list[Card]]) -> Question:
    hosts = []
    for host in asked.rig.hosts:
        cards = [replace(each, index=index) for index, each in enumerate(change(list(host.cards)))]
        hosts.append(replace(host, cards=tuple(cards)))
    return replace(asked, rig=replace(asked.rig, hosts=tuple(hosts)))
