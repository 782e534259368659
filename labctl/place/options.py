"""From workloads and a rig to the placement problem: every option, and why a card gives none."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from labctl.errors import BadInput
from labctl.estimate.candidates.candidate import Candidate
from labctl.estimate.claim import MIB, Estimate, Request, mib
from labctl.models.model import Model
from labctl.place.fit import not_shared, not_supported, on_cards
from labctl.place.group import Group
from labctl.place.problem import Option, Reason, decitokens
from labctl.place.rules import unsupported
from labctl.place.splits import splits
from labctl.place.variants import USUAL_KV_TYPES, Variant, variants
from labctl.rig.gpu import Gpu
from labctl.rig.rig import Card, Host, Rig
from labctl.workloads.service import Service
from labctl.workloads.workload import Workload

# How many cards may share one model; more only cost time.
MOST_SHARED = 8


@dataclass(frozen=True)
class Wish:
    """A workload, its service, and what it loads; candidate None where no model is loaded.

    vision: what is loaded beside it.
    """

    workload: Workload
    service: Service
    candidate: Candidate | None
    vision: Model | None = None


@dataclass(frozen=True)
class Offered:
    """What the solver may choose from.

    options: every way that fits an empty rig, and for cards on which none does the one that asks least of them.
    barred: why a card is in none of them.
    """

    options: tuple[Option, ...]
    barred: Mapping[str, Reason]


def offered(wish: Wish, rig: Rig) -> Offered:
    """All options of one workload on all hosts."""
    options: list[Option] = []
    barred: dict[str, Reason] = {}
    for host in rig.hosts:
        allowed = []
        for card in host.cards:
            if reason := _barred(wish, card):
                barred[card.id] = reason
            else:
                allowed.append(card)
        options += _on_host(wish, host, allowed)
    return Offered(tuple(options), barred)


def _barred(wish: Wish, card: Card) -> Reason | None:
    limits = wish.workload.gpus
    named = not limits.uuids or card.id in limits.uuids
    kind = not limits.models or card.gpu.name in limits.models
    if not named or not kind or limits.host not in (None, card.host):
        return "pinned_elsewhere"
    if card.mig:
        return "mig"
    if card.memory_mib is None or card.ecc_pending is not None:
        return "unknown_memory"
    if card.compute_mode != "default":
        return "compute_mode"
    return None if wish.candidate is None else _no_kernels(wish.workload, wish.candidate, card.gpu)


def _no_kernels(workload: Workload, candidate: Candidate, gpu: Gpu) -> Reason | None:
    """Whether no format that was asked for runs on such a card."""
    lacking = [
        unsupported(candidate.engine, quant, kv_type, gpu)
        for quant in candidate.quants
        for kv_type in workload.kv_types or USUAL_KV_TYPES
    ]
    if not all(lacking):
        return None
    return "dtype" if any(each and each.part for each in lacking) else "compute_capability"


def _on_host(wish: Wish, host: Host, allowed: list[Card]) -> Iterator[Option]:
    workload = wish.workload
    if workload.gpus.host not in (None, host.name):
        return
    if wish.candidate is None:
        yield from _declared(wish, host, allowed)
        return
    known: dict[tuple[object, ...], list[Placed]] = {}
    if workload.offload and not workload.gpus.count:
        for placed in _placed(wish, Group(host, ())):
            yield _option(wish, host, (), placed)
    for cards in _subsets(workload, allowed):
        group = Group(host, cards)
        if not_shared(wish.candidate, group):
            continue
        kinds = tuple(
            (card.gpu.name, card.memory_mib, card.usable_mib, card.power_limit_watts) for card in cards
        )
        if kinds not in known:
            known[kinds] = list(_placed(wish, group))
        for placed in known[kinds]:
            yield _option(wish, host, cards, placed)


def _declared(wish: Wish, host: Host, allowed: list[Card]) -> Iterator[Option]:
    """Without a model: no card, a declared claim, or, for an engine that fills what is free, a whole card."""
    workload, service = wish.workload, wish.service
    ram = service.ram_mib if workload.ram_mib is None else workload.ram_mib
    disk = service.disk_mib if workload.disk_mib is None else workload.disk_mib
    count = workload.gpus.count
    wants_card = bool(workload.vram_mib) or service.elastic or bool(count)

    def option(claims: dict[str, int]) -> Option:
        variant: dict[str, Any] = {"vram_mib": workload.vram_mib} if workload.vram_mib else {}
        return Option(
            workload.name, host.name, claims, ram, disk, _ports(workload), 0, 0, None, _id(variant), variant
        )

    if not wants_card:
        yield option({})
        return
    for cards in combinations(allowed, count or 1):
        claims = {card.id: workload.vram_mib or (card.usable_mib or 0) for card in cards}
        if all(claims[card.id] <= (card.usable_mib or 0) for card in cards):
            yield option(claims)


def _subsets(workload: Workload, allowed: list[Card]) -> Iterator[tuple[Card, ...]]:
    counts: Iterable[int] = range(1, min(len(allowed), MOST_SHARED) + 1)
    if workload.gpus.count is not None:
        counts = (workload.gpus.count,)
    for count in counts:
        yield from combinations(allowed, count)


@dataclass(frozen=True)
class Placed:
    """One variant on cards of these kinds, in their order."""

    variant: Variant
    request: Request
    estimate: Estimate
    claims_mib: tuple[int, ...]
    speed: float | None


def _placed(wish: Wish, group: Group) -> Iterator[Placed]:
    candidate = wish.candidate
    assert candidate is not None
    least: Placed | None = None
    some_fit = False
    for variant in variants(wish.workload, candidate, group.host.ram_mib, wish.vision):
        if variant.without_card != (not group.cards):
            continue
        if not_supported(candidate, variant.quant, variant.request.kv_type_k, group):
            continue
        # A hidden card: with one in sight llama.cpp would still compute large batches there.
        asked = on_cards(variant.request, group, candidate.engine) if group.cards else variant.request
        for request in splits(candidate, variant.quant, asked, group):
            try:
                estimate = candidate.estimate(variant.quant, request)
            except BadInput:
                continue
            claims = tuple(mib(card.high) for card in estimate.cards[: len(group.cards)])
            if all(claim <= usable for claim, usable in zip(claims, group.usable_mib, strict=True)):
                some_fit = True
                speed = candidate.speed(variant.quant, estimate, group.runners, group.processor)
                yield Placed(variant, request, estimate, claims, speed.decode.expected if speed else None)
            elif least is None or max(claims) < max(least.claims_mib):
                least = Placed(variant, request, estimate, claims, None)
    if least is not None and not some_fit:
        # No solver takes it; it says what these cards would have to have.
        yield least


def _option(wish: Wish, host: Host, cards: tuple[Card, ...], placed: Placed) -> Option:
    workload, service = wish.workload, wish.service
    ram = service.ram_mib if workload.ram_mib is None else workload.ram_mib
    disk = service.disk_mib if workload.disk_mib is None else workload.disk_mib
    described = _described(placed)
    return Option(
        workload=workload.name,
        host=host.name,
        claims_mib={card.id: claim for card, claim in zip(cards, placed.claims_mib, strict=True)},
        ram_mib=ram + mib(placed.estimate.host.high),
        disk_mib=disk + _weights_mib(placed),
        ports=_ports(workload),
        rank=placed.variant.rank,
        decitokens_per_second=decitokens(placed.speed),
        variant_id=_id(described),
        variant=described,
    )


def _weights_mib(placed: Placed) -> int:
    places = (*placed.estimate.cards, placed.estimate.host)
    return -(-sum(place.of("weights") for place in places) // MIB)


def _described(placed: Placed) -> dict[str, Any]:
    """What rendering needs to start the engine so that it holds what was claimed."""
    request = placed.request
    described: dict[str, Any] = {
        "engine": request.engine,
        "quant": placed.variant.quant,
        "parallel": request.parallel,
    }
    if request.context:
        described |= {"context": request.context, "kv_type": request.kv_type_k}
    for name in ("n_cpu_moe", "tensor_split", "prompt_cache_mib"):
        if value := getattr(request, name):
            described[name] = list(value) if isinstance(value, tuple) else value
    if request.n_gpu_layers < Request("llama.cpp", 0).n_gpu_layers:
        described["n_gpu_layers"] = request.n_gpu_layers
    if request.tensor_parallel > 1:
        described["tensor_parallel"] = request.tensor_parallel
    return described


def _id(variant: Mapping[str, Any]) -> str:
    return json.dumps(variant, sort_keys=True, separators=(",", ":"))


def _ports(workload: Workload) -> tuple[int, ...]:
    """Those of the host that the person fixed; others are given out later, where they are free."""
    return tuple(sorted(int(port.split(":")[0]) for port in workload.ports if ":" in port))
