"""Checks an answer of `labctl place --json` against nothing but the two files it answers.

Knows the contracts (DESIGN, PLACEMENT), and of labctl only which engines fill a card: no code that placed anything is
asked whether it placed well.
"""

from collections.abc import Iterator, Mapping
from itertools import chain, combinations
from typing import Any

Json = dict[str, Any]
MINUTES = 24 * 60
REASONS = {
    "too_small", "full", "fits_alone_but_outranked", "too_few_on_host", "compute_capability", "dtype", "driver", "ram",
    "disk", "port", "psu", "pinned_elsewhere", "exclusive", "mig", "compute_mode", "unknown_memory",
}  # fmt: skip
# Their engine takes what is free, unless a model or `vram_mib` says how much that is.
FILLS_A_CARD = {"ollama", "comfyui"}


def complaints(document: Json, workloads: Json, rig: Json) -> list[str]:
    """What is wrong with the answer, a sentence each; none for one that keeps every promise."""
    wanted: Json = _said(workloads["workloads"])
    rig = _said(rig)
    placed = {each["workload"]: each for each in document["placements"]}
    return [
        *_everyone_is_answered(document, wanted),
        *_cards_hold(document, wanted, rig, placed),
        *_hosts_hold(document, wanted, rig, placed),
        *chain.from_iterable(_as_asked(name, wanted[name], placed[name], document) for name in placed),
        *_neighbours(wanted, placed, document, rig),
    ]


def _said(node: Any) -> Any:
    """Without keys that are null: those were not said."""
    if isinstance(node, dict):
        return {key: _said(value) for key, value in node.items() if value is not None}
    return [_said(each) for each in node] if isinstance(node, list) else node


def _everyone_is_answered(document: Json, wanted: Json) -> Iterator[str]:
    answered = [each["workload"] for each in (*document["placements"], *document["unplaced"])]
    if sorted(answered) != sorted(wanted):
        yield f"asked for {sorted(wanted)}, answered {sorted(answered)}"
    every = {card["uuid"] for card in document["gpus"]}
    for each in document["unplaced"]:
        named = {refusal["gpu"] for refusal in each["refusals"] if refusal["gpu"]}
        if named != every:
            yield f"{each['workload']}: refused with {sorted(named)} of {sorted(every)}"
        yield from (
            f"{each['workload']}: no such reason, {refusal['reason']}"
            for refusal in each["refusals"]
            if refusal["reason"] not in REASONS
        )


def _cards_hold(document: Json, wanted: Json, rig: Json, placed: Json) -> Iterator[str]:
    spare = _spare_of(rig)
    for card in document["gpus"]:
        name = card["uuid"]
        claims = {each: found["memory_mib"].get(name, 0) for each, found in placed.items()}
        most = resident_together(claims, wanted)
        # Jobs that share nothing are charged as if they met, which by the clock they may not.
        exact = sum(1 for entry in wanted.values() if entry.get("displaces")) < 2
        if most > card["claimed_mib"] or (exact and most != card["claimed_mib"]):
            yield f"{name}: {card['claimed_mib']} MiB claimed, by hand {most}"
        if max(most, card["claimed_mib"]) > (card["usable_mib"] or 0):
            yield f"{name}: {most} MiB on {card['usable_mib']}"
        if card["memory_mib"] is not None:
            reserved, foreign = spare[name]
            margin = max(1024, round(0.03 * card["memory_mib"])) if reserved is None else reserved
            if card["usable_mib"] != max(0, card["memory_mib"] - margin - foreign):
                yield f"{name}: {card['usable_mib']} MiB usable of {card['memory_mib']}"


def _spare_of(rig: Json) -> dict[str, tuple[int | None, int]]:
    """reserved_mib and foreign_mib as the file has them, by the card's name."""
    found = {}
    for host in rig["hosts"]:
        index = 0
        for line in host.get("gpus", []):
            for _ in range(line.get("count", 1)):
                name = line.get("uuid") or f"{host['name']}/{index}"
                found[name] = (line.get("reserved_mib"), line.get("foreign_mib", 0))
                index += 1
    return found


def _hosts_hold(document: Json, wanted: Json, rig: Json, placed: Json) -> Iterator[str]:
    unified = {card["uuid"] for card in document["gpus"] if card["model"] == "dgx-spark"}
    for host in rig["hosts"]:
        here = {name: each for name, each in placed.items() if each["host"] == host["name"]}
        ram = {
            name: each["host_memory_mib"]
            + sum(claim for card, claim in each["memory_mib"].items() if card in unified)
            for name, each in here.items()
        }
        if "ram_gib" in host and resident_together(ram, wanted) > 1024 * host["ram_gib"]:
            yield f"{host['name']}: {resident_together(ram, wanted)} MiB of {host['ram_gib']} GiB of RAM"
        power = document["power"][host["name"]]
        drawn = power["gpu_watts"] + power["system_watts"]
        if host.get("psu_watts", drawn) < drawn and any(each["gpus"] for each in here.values()):
            yield f"{host['name']}: {drawn} W of {host['psu_watts']} W, and cards in use"
        cpu = (host.get("cpu") or {}).get("tdp_watts", 0) + 75
        if power["system_watts"] != host.get("host_watts", cpu):
            yield f"{host['name']}: {power['system_watts']} W beside the cards"


def _as_asked(name: str, entry: Json, found: Json, document: Json) -> Iterator[str]:
    cards = {card["uuid"]: card for card in document["gpus"]}
    limits = entry.get("gpus", {})
    if sorted(found["memory_mib"]) != sorted(found["gpus"]):
        yield f"{name}: claims on {sorted(found['memory_mib'])}, cards {found['gpus']}"
    if any(cards[card]["host"] != found["host"] for card in found["gpus"]):
        yield f"{name}: cards of another host"
    if limits.get("count") is not None and len(found["gpus"]) != limits["count"]:
        yield f"{name}: {len(found['gpus'])} cards, asked for {limits['count']}"
    if limits.get("host") not in (None, found["host"]):
        yield f"{name}: on {found['host']}, pinned to {limits['host']}"
    for key, has in (("uuids", lambda card: card), ("models", lambda card: cards[card]["model"])):
        if limits.get(key) and any(has(card) not in limits[key] for card in found["gpus"]):
            yield f"{name}: {found['gpus']} are none of {limits[key]}"
    if "vram_mib" in entry and any(claim != entry["vram_mib"] for claim in found["memory_mib"].values()):
        yield f"{name}: {found['memory_mib']} charged, declared {entry['vram_mib']}"


def _neighbours(wanted: Json, placed: Json, document: Json, rig: Json) -> Iterator[str]:
    foreign = {card for card, (_, mib) in _spare_of(rig).items() if mib}
    for card in (each["uuid"] for each in document["gpus"]):
        here = sorted(name for name, each in placed.items() if card in each["gpus"])
        for name in here:
            if wanted[name].get("gpus", {}).get("exclusive") and card in foreign:
                yield f"{card}: {name} wants it alone, and a foreign process holds memory"
        for one, other in combinations(here, 2):
            a, b = wanted[one], wanted[other]
            if other in a.get("apart_from", []) or one in b.get("apart_from", []):
                yield f"{card}: {one} beside {other}, which are to be apart"
            meet = other not in a.get("displaces", []) and one not in b.get("displaces", [])
            if meet and any(_alone(each) for each in (a, b)):
                yield f"{card}: {one} beside {other}, and one of them wants it alone"
            if _is_job(a) and _is_job(b) and _minutes(a) & _minutes(b):
                yield f"{card}: the jobs {one} and {other} at the same time"
    for name, each in placed.items():
        for other in wanted[name].get("displaces", []):
            if other in placed and placed[other]["host"] != each["host"]:
                yield f"{name} on {each['host']} displaces {other} on {placed[other]['host']}"


def _alone(entry: Json) -> bool:
    fills = entry["service"] in FILLS_A_CARD and "model" not in entry and "vram_mib" not in entry
    return fills or bool(entry.get("gpus", {}).get("exclusive"))


def _is_job(entry: Json) -> bool:
    return bool(entry.get("displaces")) or "when" in entry


def _minutes(entry: Json) -> set[int]:
    if "when" not in entry:
        return set(range(MINUTES))
    first, last = (60 * int(each[:2]) + int(each[3:]) for each in entry["when"].split("-"))
    length = (last - first) % MINUTES or MINUTES
    return {(first + offset) % MINUTES for offset in range(length)}


def resident_together(amounts: Mapping[str, int], wanted: Json) -> int:
    """The most that is needed at any minute, whichever of the jobs with windows happen to run.

    Minute by minute, as a person would check it: whoever is displaced by a job that runs is away. A job that displaces
    nobody counts always.
    """
    jobs = {name: entry for name, entry in wanted.items() if entry.get("displaces")}
    always = {name for name in amounts if name not in jobs}
    starts = {0, *(min(_edges(entry), default=0) for entry in jobs.values())}
    starts |= {edge for entry in jobs.values() for edge in _edges(entry)}
    most = 0
    for minute in starts:
        able = [name for name, entry in jobs.items() if minute in _minutes(entry)]
        for count in range(len(able) + 1):
            for running in combinations(able, count):
                away = {name for job in running for name in jobs[job]["displaces"]}
                there = (always - away) | set(running)
                most = max(most, sum(amounts.get(name, 0) for name in there))
    return most


def _edges(entry: Json) -> set[int]:
    if "when" not in entry:
        return set()
    return {60 * int(each[:2]) + int(each[3:]) for each in entry["when"].split("-")}
