"""A second solver, for comparison: knows problem.json and nothing of labctl.

It tries everything, or where that is too much asks `reference_cp_sat`.
"""

import json
from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

Json = dict[str, Any]
Values = list[Any]
MAX_COMBINATIONS = 1500


def tier_values(problem_json: str) -> Values:
    """The best values of all seven tiers."""
    problem = json.loads(problem_json)
    per_workload = options_of(problem)
    if prod(len(own) + 1 for own in per_workload.values()) <= MAX_COMBINATIONS:
        return by_trying_all(problem)
    from tests.labctl.place.reference_cp_sat import by_cp_sat

    return by_cp_sat(problem)


def options_of(problem: Json) -> dict[str, list[Json]]:
    """Per workload."""
    return {
        workload["name"]: [each for each in problem["options"] if each["workload"] == workload["name"]]
        for workload in problem["workloads"]
    }


def by_trying_all(problem: Json) -> Values:
    """Every combination of options, the valid ones compared."""
    best: tuple[list[list[int]], Values] | None = None
    for chosen in product(*([None, *own] for own in options_of(problem).values())):
        placed = {each["workload"]: each for each in chosen if each}
        if is_valid(problem, placed):
            found = evaluate(problem, placed)
            key = as_key(found)
            if best is None or key > best[0]:
                best = (key, found)
    assert best
    return best[1]


def as_key(found: Values) -> list[list[int]]:
    """More is better in every place."""
    signs = (1, -1, -1, 1, -1, -1, 1)
    vectors = [each if isinstance(each, list) else [each or 0] for each in found]
    return [[sign * each for each in vector] for sign, vector in zip(signs, vectors, strict=True)]


def minutes(window: list[int] | None) -> set[int]:
    """Minutes of the day in which a job may run."""
    if window is None or window[0] == window[1]:
        return set(range(1440))
    first, last = window
    return set(range(first, last)) if first < last else set(range(first, 1440)) | set(range(last))


def overlapping(one: Json, other: Json) -> bool:
    return bool(minutes(one["window"]) & minutes(other["window"]))


def is_job(workload: Json) -> bool:
    return bool(workload["displaces"]) or workload["window"] is not None


def sets(problem: Json) -> list[tuple[set[str], list[set[str]]]]:
    """Time-share sets: members, and who is there in each state."""
    jobs = {each["name"]: each for each in problem["workloads"] if each["displaces"]}
    left, found = set(jobs), []
    while left:
        group, more = set(), {min(left)}
        while more:
            group |= more
            taken = {name for job in group for name in jobs[job]["displaces"]}
            more = {job for job in left - group if taken & set(jobs[job]["displaces"])}
        left -= group
        taken = {name for job in group for name in jobs[job]["displaces"]}
        states = [
            (taken - {name for job in running for name in jobs[job]["displaces"]}) | running
            for running in _groups(sorted(group))
            if all(a == b or overlapping(jobs[a], jobs[b]) for a in running for b in running)
        ]
        found.append((group | taken, states))
    return found


def _groups(names: list[str]) -> Iterator[set[str]]:
    for bits in product((False, True), repeat=len(names)):
        yield {name for name, bit in zip(names, bits, strict=True) if bit}


def taken(problem: Json, amounts: dict[str, int]) -> int:
    """Of one resource, time-share sets counted as the most of their states."""
    shared = sets(problem)
    members = set().union(*(each for each, _ in shared)) if shared else set()
    total = sum(amount for name, amount in amounts.items() if name not in members)
    return total + sum(
        max(sum(amounts.get(name, 0) for name in state) for state in each) for _, each in shared
    )


def clash(one: Json, other: Json) -> bool:
    """Whether two workloads cannot have a card in common."""
    if one["name"] in other["apart_from"] or other["name"] in one["apart_from"]:
        return True
    if is_job(one) and is_job(other) and overlapping(one, other):
        return True
    greedy = one["exclusive"] or one["elastic"] or other["exclusive"] or other["elastic"]
    return greedy and not (one["name"] in other["displaces"] or other["name"] in one["displaces"])


def allowed(problem: Json, workload: Json, option: Json) -> bool:
    """Whether an option would be valid on its own, as far as no amount is concerned."""
    cards = {card["id"]: card for card in problem["cards"]}
    host = next(each for each in problem["hosts"] if each["name"] == option["host"])
    if workload["exclusive"] and any(cards[card]["foreign_process"] for card in option["claims_mib"]):
        return False
    if set(option["ports"]) & set(host["taken_ports"]):
        return False
    running = workload["incumbent"]
    return not (
        workload["stateful"]
        and running
        and option["host"] != running["host"]
        and any(each["host"] == running["host"] for each in options_of(problem)[workload["name"]])
    )


def host_amounts(problem: Json, option: Json) -> dict[str, int]:
    """RAM (unified claims with it) and watts of an option."""
    unified = {card["id"] for card in problem["cards"] if card["unified"]}
    claims = sum(claim for card, claim in option["claims_mib"].items() if card in unified)
    return {"ram_mib": option["ram_mib"] + claims, "watts": option["watts"]}


def is_valid(problem: Json, placed: dict[str, Json]) -> bool:
    """Whether no hard limit is broken."""
    workloads = {each["name"]: each for each in problem["workloads"]}
    if not all(allowed(problem, workloads[name], option) for name, option in placed.items()):
        return False
    for card in problem["cards"]:
        here = {
            name: each["claims_mib"][card["id"]]
            for name, each in placed.items()
            if card["id"] in each["claims_mib"]
        }
        if taken(problem, here) > card["usable_mib"]:
            return False
        if any(clash(workloads[a], workloads[b]) for a in here for b in here if a < b):
            return False
    if any(
        len({placed[name]["host"] for name in members if name in placed}) > 1 for members, _ in sets(problem)
    ):
        return False
    return all(_host_is_valid(problem, host, placed) for host in problem["hosts"])


def _host_is_valid(problem: Json, host: Json, placed: dict[str, Json]) -> bool:
    here = {name: each for name, each in placed.items() if each["host"] == host["name"]}
    amounts = {name: host_amounts(problem, each) for name, each in here.items()}
    ram = {name: each["ram_mib"] for name, each in amounts.items()}
    if host["ram_mib"] is not None and taken(problem, ram) > host["ram_mib"]:
        return False
    if host["disk_mib"] is not None and sum(each["disk_mib"] for each in here.values()) > host["disk_mib"]:
        return False
    ports = [port for each in here.values() for port in each["ports"]]
    if len(ports) != len(set(ports)):
        return False
    if host["psu_watts"] is not None and any(each["claims_mib"] or each["watts"] for each in here.values()):
        watts = taken(problem, {name: each["watts"] for name, each in amounts.items()})
        return bool(host["watts"] + watts <= host["psu_watts"])
    return True


def changed(workload: Json, option: Json | None) -> bool:
    running = workload["incumbent"]
    if not running:
        return False
    if option is None:
        return True
    now = (option["host"], set(option["claims_mib"]), option["variant_id"])
    return now != (running["host"], set(running["cards"]), running["variant_id"])


def evaluate(problem: Json, placed: dict[str, Json]) -> Values:
    """The seven values of a valid choice."""
    priorities = sorted({each["priority"] for each in problem["workloads"]}, reverse=True)
    of = {
        priority: [
            placed[each["name"]]
            for each in problem["workloads"]
            if each["priority"] == priority and each["name"] in placed
        ]
        for priority in priorities
    }
    loads = {each["name"]: each["load"] for each in problem["workloads"]}
    single = {card for each in placed.values() if len(each["claims_mib"]) == 1 for card in each["claims_mib"]}
    free = [0] if not problem["cards"] else []
    for card in problem["cards"]:
        claims = {name: each["claims_mib"].get(card["id"], 0) for name, each in placed.items()}
        left = card["usable_mib"] - taken(problem, claims)
        if card["unified"]:
            host = next(each for each in problem["hosts"] if each["name"] == card["host"])
            here = {name: each for name, each in placed.items() if each["host"] == host["name"]}
            ram = taken(
                problem, {name: host_amounts(problem, each)["ram_mib"] for name, each in here.items()}
            )
            left = min(left, host["ram_mib"] - ram)
        free.append(left)
    return [
        [len(of[priority]) for priority in priorities],
        None
        if problem["rebalance"]
        else sum(changed(each, placed.get(each["name"])) for each in problem["workloads"]),
        [sum(each["rank"] for each in of[priority]) for priority in priorities],
        sum(loads[name] * (each["decitokens_per_second"] or 0) for name, each in placed.items()),
        sum(len(card["nvlink"]) for card in problem["cards"] if card["id"] in single),
        len({card for each in placed.values() for card in each["claims_mib"]}),
        max(free),
    ]
