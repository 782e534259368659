"""Whether a problem makes sense: names that exist, numbers that can be."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from labctl.errors import BadInput
from labctl.place.problem import MINUTES_PER_DAY, Option, Problem, Workload

MAX_PORT = 65535


def check(problem: Problem, name: str = "problem") -> Problem:
    """The problem itself. Raises `BadInput` for what no solver could make sense of; name: of the file, for messages."""
    hosts = {host.name: host for host in problem.hosts}
    cards = {card.id: card for card in problem.cards}
    workloads = {workload.name: workload for workload in problem.workloads}
    _distinct(f"{name}: hosts", [host.name for host in problem.hosts])
    _distinct(f"{name}: cards", [card.id for card in problem.cards])
    _distinct(f"{name}: workloads", [workload.name for workload in problem.workloads])
    for host in problem.hosts:
        where = f"{name}: hosts.{host.name}"
        _at_least_zero(
            where,
            ram_mib=host.ram_mib,
            disk_mib=host.disk_mib,
            psu_watts=host.psu_watts,
            watts=host.watts,
        )
        _ports(f"{where}.taken_ports", host.taken_ports)
    for card in problem.cards:
        where = f"{name}: cards.{card.id}"
        _known(f"{where}.host", card.host, hosts)
        _at_least_zero(where, usable_mib=card.usable_mib)
        _distinct(f"{where}.nvlink", card.nvlink)
        for peer in card.nvlink:
            _known(f"{where}.nvlink", peer, set(cards) - {card.id})
            if card.id not in cards[peer].nvlink:
                raise BadInput(
                    "a link has two ends",
                    where=f"{where}.nvlink",
                    found=peer,
                    expected=f"{card.id} there too",
                )
        if card.unified and hosts[card.host].ram_mib is None:
            raise BadInput(
                "unified memory is RAM, and how much there is is not said",
                where=f"{name}: hosts.{card.host}.ram_mib",
                expected="a number of MiB",
            )
    for workload in problem.workloads:
        _workload(f"{name}: workloads.{workload.name}", workload, workloads)
    hosts_of = {card.id: card.host for card in problem.cards}
    for index, option in enumerate(problem.options):
        where = f"{name}: options[{index}]"
        _known(f"{where}.workload", option.workload, workloads)
        _known(f"{where}.host", option.host, hosts)
        _option(where, option, hosts_of)
    return problem


def _workload(where: str, workload: Workload, workloads: dict[str, Workload]) -> None:
    _at_least_zero(where, load=workload.load)
    others = set(workloads) - {workload.name}
    for key, names in (("apart_from", workload.apart_from), ("displaces", workload.displaces)):
        _distinct(f"{where}.{key}", names)
        for each in names:
            _known(f"{where}.{key}", each, others)
    for each in workload.displaces:
        if workloads[each].is_job:
            raise BadInput(
                "a job does not displace another job",
                where=f"{where}.displaces",
                found=each,
                hint="give both windows that do not overlap",
            )
    if workload.window is not None and not all(0 <= each < MINUTES_PER_DAY for each in workload.window):
        raise BadInput(
            "these are no minutes of a day",
            where=f"{where}.window",
            found=str(list(workload.window)),
            expected=f"0 to {MINUTES_PER_DAY - 1}",
        )


def _option(where: str, option: Option, hosts_of: dict[str, str]) -> None:
    _at_least_zero(
        where,
        ram_mib=option.ram_mib,
        disk_mib=option.disk_mib,
        watts=option.watts,
        rank=option.rank,
        decitokens_per_second=option.decitokens_per_second,
    )
    _ports(f"{where}.ports", option.ports)
    for card, claim_mib in option.claims_mib.items():
        _known(f"{where}.claims_mib", card, [each for each, host in hosts_of.items() if host == option.host])
        _at_least_zero(f"{where}.claims_mib", **{card: claim_mib})


def _known(where: str, found: str, names: Collection[str]) -> None:
    if found not in names:
        near = get_close_matches(found, names, 1)
        raise BadInput(
            "this name does not exist here",
            where=where,
            found=found,
            expected=", ".join(sorted(names)[:20]) or "none at all",
            hint=f"did you mean {near[0]}?" if near else None,
        )


def _distinct(where: str, names: Sequence[str]) -> None:
    twice = sorted({each for each in names if names.count(each) > 1}) if len(set(names)) < len(names) else []
    if twice:
        raise BadInput("the same name twice", where=where, found=twice[0], expected="each name once")


def _at_least_zero(where: str, **numbers: int | None) -> None:
    for key, number in numbers.items():
        if number is not None and number < 0:
            raise BadInput(
                "this cannot be negative", where=f"{where}.{key}", found=str(number), expected="0 or more"
            )


def _ports(where: str, ports: Iterable[int]) -> None:
    ports = list(ports)
    if len(set(ports)) < len(ports):
        raise BadInput("the same port twice", where=where, found=str(ports), expected="each port once")
    for port in ports:
        if not 1 <= port <= MAX_PORT:
            raise BadInput("this is no port", where=where, found=str(port), expected=f"1 to {MAX_PORT}")
