"""Which driver a host gets, or what stands in the way. The table says; this reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from labctl.driver import obstacles, packages
from labctl.driver.host import DriverHost
from labctl.driver.obstacles import Obstacle
from labctl.driver.packages import Pin
from labctl.driver.pci_ids import PciIds
from labctl.driver.support import KnownCard, flavours, in_the_way
from labctl.driver.table import Cuda, Flavour, Modules, Offer, Origin, System, Table


@dataclass(frozen=True)
class Request:
    """What a person asks for. source, branch, flavour: None leaves it to the table. cuda: a toolkit on the host, too.

    in_container: the kernel is another system's to load modules into; packages are installed and built all the same.
    """

    source: Origin | None = None
    branch: int | None = None
    flavour: Flavour | None = None
    cuda: bool = True
    in_container: bool = False


@dataclass(frozen=True)
class Decision:
    """One driver. packages: exact names; first: those to install before them. headers: to build the module with.

    remove: packages of another driver that must go. cuda: None for containers only, with the reason. reboot: why, or
    None. in_place: it is what is installed, with a module for the kernel that boots next. reasons: why this and no
    other. unverified: what of it nobody could look up. sources: where the rows come from.
    """

    system: System
    source: Origin
    branch: int
    standing: str
    flavour: Flavour
    modules: Modules
    first: tuple[str, ...]
    packages: tuple[str, ...]
    headers: tuple[str, ...]
    remove: tuple[str, ...]
    pins: tuple[Pin, ...]
    cuda: Cuda | None
    containers_only: str | None
    secure_boot: str
    reboot: str | None
    in_place: bool
    reasons: tuple[str, ...]
    unverified: tuple[str, ...]
    sources: tuple[str, ...]

    @property
    def repository(self) -> str | None:
        """NVIDIA's repository, where the driver or the toolkit comes from there."""
        from_nvidia = self.source == "nvidia" or (self.cuda and self.cuda.package.startswith("cuda-toolkit-"))
        return self.system.repository_url if from_nvidia else None


@dataclass(frozen=True)
class Preflight:
    """A host's answer. decision: there, too, while only the host is in its way; None where no driver is possible."""

    host: DriverHost
    cards: tuple[KnownCard, ...]
    decision: Decision | None
    obstacles: tuple[Obstacle, ...]
    notes: tuple[str, ...] = ()

    @property
    def go(self) -> bool:
        """Whether a deploy may begin."""
        return self.decision is not None and not self.obstacles


@dataclass(frozen=True)
class _Question:
    host: DriverHost
    table: Table
    system: System
    cards: tuple[KnownCard, ...]
    request: Request


def preflight(
    host: DriverHost,
    table: Table,
    ids: PciIds,
    request: Request = Request(),
    titles: Mapping[str, str] = MappingProxyType({}),
) -> Preflight:
    """Decide for one host. titles: of the catalogue's cards by name."""
    cards = known_cards(host, ids, titles)
    system = table.system(host.os_id, host.os_version)
    found = list(obstacles.of_machine(host, table, in_container=request.in_container))
    if any(each.code in ("wsl", "container") for each in found):
        return Preflight(host, cards, None, tuple(found))
    found += obstacles.of_cards(table, cards)
    found += obstacles.of_packages(host, system)
    if system is None or any(each.final for each in found):
        return Preflight(host, cards, None, tuple(found))
    driven = tuple(card for card in cards if not card.set_aside)
    question = _Question(host, table, system, driven, request)
    chosen, passed_over, refusals = _choose(question)
    if chosen is None:
        return Preflight(host, cards, None, (*found, *refusals))
    decision = _decide(question, chosen, passed_over)
    if not decision.in_place:
        found += obstacles.of_build(host, decision.modules)
        if decision.modules == "precompiled":
            found += obstacles.of_signed_module(host, decision.packages[0])
    found += obstacles.of_disk(host, _to_come_mib(host, chosen[0], decision))
    if not decision.in_place:
        found += obstacles.of_boot(host)
        found += obstacles.of_existing(host, packages.to_change(host, chosen[0], decision.packages))
    return Preflight(host, cards, decision, tuple(found), tuple(_notes(host, cards)))


def _to_come_mib(host: DriverHost, offer: Offer, decision: Decision) -> int:
    """What a deploy adds to the disk: the driver, the toolkit, or both; 0 where both are there."""
    there = {each.name for each in host.packages if each.state == "installed"}
    cuda = decision.cuda
    return (0 if decision.in_place else offer.driver_mib) + (
        cuda.mib if cuda and cuda.package not in there else 0
    )


def known_cards(host: DriverHost, ids: PciIds, titles: Mapping[str, str]) -> tuple[KnownCard, ...]:
    """The host's cards by their PCI ids."""
    found = []
    for card in host.cards:
        identity = ids.identify(card.device, card.name)
        named = " or ".join(titles.get(model, model) for model in identity.models)
        # lspci says `Device` of what its own list does not have.
        title = named or card.name.removeprefix("Device") or f"the card 10de:{card.device}"
        found.append(KnownCard(card, identity.models, identity.generation, title, identity.certain))
    return tuple(found)


def _choose(asked: _Question) -> tuple[tuple[Offer, Flavour] | None, list[str], list[Obstacle]]:
    """The first offer that drives every card and that Secure Boot lets load, and why those before it do not."""
    table, request = asked.table, asked.request
    offers = [
        offer
        for offer in table.offers_for(asked.system)
        if request.source in (None, offer.source) and request.branch in (None, offer.branch)
    ]
    if not offers:
        return None, [], [obstacles.no_such_offer(table, asked.system, request.source, request.branch)]
    passed_over: list[str] = []
    unsigned: tuple[Offer, Flavour] | None = None
    for offer in offers:
        drive = flavours(table, asked.cards, offer.branch)
        possible = tuple(each for each in drive if request.flavour in (None, each))
        if drive and not possible:
            passed_over.append(
                f"not {_called(offer)}: its {request.flavour} kernel module drives not all cards"
            )
        elif not possible:
            passed_over += [
                f"not {_called(offer)}: {why}" for why in in_the_way(table, asked.cards, offer.branch)
            ]
        elif not obstacles.loads_under_secure_boot(asked.host, offer.modules):
            passed_over.append(f"not {_called(offer)}: Secure Boot loads nothing built here without a key")
            unsigned = unsigned or (offer, possible[0])
        else:
            return (offer, possible[0]), passed_over, []
    if unsigned:
        return unsigned, [], []
    if request.flavour and any(flavours(table, asked.cards, offer.branch) for offer in offers):
        return None, passed_over, [obstacles.not_of_flavour(request.flavour, passed_over)]
    return None, passed_over, [obstacles.undriven(table, asked.system, asked.cards, offers)]


def _called(offer: Offer) -> str:
    whose = "NVIDIA's" if offer.source == "nvidia" else f"{offer.system.split()[0].capitalize()}'s own"
    return f"{whose} {offer.branch}"


def _decide(asked: _Question, chosen: tuple[Offer, Flavour], passed_over: list[str]) -> Decision:
    offer, flavour = chosen
    host, table, cards = asked.host, asked.table, asked.cards
    cuda, containers_only = (
        _toolkit(table, cards, offer) if asked.request.cuda else (None, "no toolkit was asked for")
    )
    wanted = packages.of_driver(host, offer, flavour)
    rows = [row for card in cards if (row := table.architecture(card.generation or ""))]
    why = [offer.why] if offer.why and not passed_over else []
    doubts = (offer.unverified, asked.system.unverified if offer.source == "nvidia" else None)
    return Decision(
        system=asked.system,
        source=offer.source,
        branch=offer.branch,
        standing=table.standing(offer.branch),
        flavour=flavour,
        modules=offer.modules,
        first=tuple(offer.first),
        packages=wanted,
        headers=packages.headers(host) if offer.modules == "dkms" else (),
        remove=packages.to_remove(host, wanted),
        pins=packages.pins(offer),
        cuda=cuda,
        containers_only=containers_only,
        secure_boot=_secure_boot(host, offer),
        reboot=_reboot(host, offer, flavour),
        in_place=packages.in_place(host, offer, wanted),
        reasons=(*passed_over, *why, _why_flavour(asked, chosen)),
        unverified=tuple(text for text in doubts if text),
        sources=tuple(dict.fromkeys([offer.url, *(row.source for row in rows), asked.system.source])),
    )


def _why_flavour(asked: _Question, chosen: tuple[Offer, Flavour]) -> str:
    offer, flavour = chosen
    table, cards = asked.table, asked.cards
    if asked.request.flavour:
        return f"{flavour} kernel module: as asked for"
    deciding = next((card for card in cards if len(flavours(table, (card,), offer.branch)) == 1), None)
    if deciding:
        return f"{flavour} kernel module: {deciding.title} works with no other"
    if flavour == "open":
        return f"open kernel module: NVIDIA's default since {table.open_by_default_from.branch}"
    return f"proprietary kernel module: NVIDIA's default before {table.open_by_default_from.branch}"


def _toolkit(table: Table, cards: tuple[KnownCard, ...], offer: Offer) -> tuple[Cuda | None, str | None]:
    if offer.cuda is None:
        return None, offer.no_cuda
    for card in cards:
        row = table.architecture(card.generation or "")
        if row and not row.cuda.hold(offer.cuda.version):
            needs = f"needs {row.cuda.first}" if row.cuda.first else f"ends with {row.cuda.last}"
            return None, f"{offer.cuda.package} is CUDA {offer.cuda.version}, {card.title} {needs}"
    return offer.cuda, None


def _secure_boot(host: DriverHost, offer: Offer) -> str:
    if host.secure_boot.enabled is False:
        return "off: the module is loaded as it is"
    if offer.modules == "precompiled":
        return "the module comes signed by Canonical, nothing to enroll"
    if host.secure_boot.key_enrolled:
        return f"on: dkms signs the module with {host.secure_boot.key}, which is enrolled"
    return (
        "on: the module is built here, and its key must be enrolled first"
        if host.secure_boot.enabled
        else "unknown"
    )


def _reboot(host: DriverHost, offer: Offer, flavour: Flavour) -> str | None:
    if host.running.release != host.next_boot.release:
        return f"the module is built for {host.next_boot.release}, {host.running.release} runs"
    if host.nouveau:
        return "nouveau holds the cards"
    if host.loaded and (not host.loaded.startswith(f"{offer.branch}.") or host.loaded_flavour != flavour):
        return f"{host.loaded} ({host.loaded_flavour}) is loaded"
    return None


def _notes(host: DriverHost, cards: tuple[KnownCard, ...]) -> Iterator[str]:
    for card in cards:
        if card.set_aside:
            yield f"{card.title} at {card.card.slot} is set aside for a VM (vfio-pci) and left out"
        elif not card.certain:
            yield f"10de:{card.card.device} is on no list: its neighbours are {card.generation}, so is it"
    if host.vm:
        yield f"a virtual machine ({host.vm}): its cards are passed through"
    if host.next_boot.headers == "unknown":
        yield "apt has no package lists: whether there are headers is not known before `apt-get update`"
