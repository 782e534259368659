"""The straightforward CP-SAT model: one Boolean per option, each limit one constraint, the tiers one after another."""

from collections.abc import Callable, Sequence

from ortools.sat.python import cp_model

from tests.labctl.place.reference import Json, Values, allowed, changed, clash, host_amounts, sets

Query = Callable[[Json], object]


def by_cp_sat(problem: Json) -> Values:
    """The best values of all seven tiers, each proven."""
    return Reference(problem).solve()


def of_workload(name: str) -> Query:
    return lambda each: each["workload"] == name


def powered_on(host: str) -> Query:
    return lambda each: each["host"] == host and (each["claims_mib"] or each["watts"])


def with_port(host: str, port: int) -> Query:
    return lambda each: each["host"] == host and port in each["ports"]


def of_members(host: str, members: set[str]) -> Query:
    return lambda each: each["host"] == host and each["workload"] in members


class Reference:
    """The model of one problem. budget: of each solve, in CP-SAT's deterministic time. proven: none ran out of it."""

    def __init__(self, problem: Json, budget: float | None = None) -> None:
        self.problem = problem
        self._budget = budget
        self.proven = True
        self.model = cp_model.CpModel()
        self.workloads: dict[str, Json] = {each["name"]: each for each in problem["workloads"]}
        self.options = [
            each for each in problem["options"] if allowed(problem, self.workloads[each["workload"]], each)
        ]
        self.takes = [self.model.new_bool_var("") for _ in self.options]
        self.sets = sets(problem)
        for name in self.workloads:
            self.model.add_at_most_one(self._takes(of_workload(name)))
        self._cards()
        self._hosts()
        self._sets_stay_together()

    def _of_priority(self, priority: int) -> Query:
        return lambda each: self.workloads[each["workload"]]["priority"] == priority

    def _takes(self, holds: Query) -> list[cp_model.IntVar]:
        return [take for take, each in zip(self.takes, self.options, strict=True) if holds(each)]

    def _taken(self, amounts: Sequence[int], most: int) -> cp_model.LinearExprT:
        """The sum over options, time-share sets as the most of their states."""
        pairs = [
            (each["workload"], take, amount)
            for each, take, amount in zip(self.options, self.takes, amounts, strict=True)
            if amount
        ]
        members = {name for each, _ in self.sets for name in each}
        parts: list[cp_model.LinearExprT] = [
            take * amount for name, take, amount in pairs if name not in members
        ]
        for each, states in self.sets:
            if any(name in each for name, _, _ in pairs):
                peak = self.model.new_int_var(0, most, "")
                for state in states:
                    self.model.add(
                        peak >= sum(take * amount for name, take, amount in pairs if name in state)
                    )
                parts.append(peak)
        return sum(parts)

    def _cards(self) -> None:
        self.free: list[cp_model.LinearExprT] = []
        self.in_use, self.alone = [], []
        for card in self.problem["cards"]:
            claims = [each["claims_mib"].get(card["id"], 0) for each in self.options]
            free = card["usable_mib"] - self._taken(claims, card["usable_mib"])
            self.model.add(free >= 0)
            self.free.append(free)
            here = [i for i, each in enumerate(self.options) if card["id"] in each["claims_mib"]]
            used, alone = self.model.new_bool_var(""), self.model.new_bool_var("")
            for i in here:
                self.model.add_implication(self.takes[i], used)
                if len(self.options[i]["claims_mib"]) == 1:
                    self.model.add_implication(self.takes[i], alone)
            self.in_use.append(used)
            self.alone.append(alone * len(card["nvlink"]))
            names = sorted({self.options[i]["workload"] for i in here})
            for a in names:
                for b in names:
                    if a < b and clash(self.workloads[a], self.workloads[b]):
                        self.model.add_at_most_one(
                            self.takes[i] for i in here if self.options[i]["workload"] in (a, b)
                        )

    def _hosts(self) -> None:
        for host in self.problem["hosts"]:
            here = [each["host"] == host["name"] for each in self.options]
            amounts = [host_amounts(self.problem, each) for each in self.options]
            if host["ram_mib"] is not None:
                own = [each["ram_mib"] * at for each, at in zip(amounts, here, strict=True)]
                ram = self._taken(own, host["ram_mib"])
                self.model.add(ram <= host["ram_mib"])
                self._pool(host, host["ram_mib"] - ram)
            if host["psu_watts"] is not None:
                left = host["psu_watts"] - host["watts"]
                own = [each["watts"] * at for each, at in zip(amounts, here, strict=True)]
                self.model.add(self._taken(own, max(0, left)) <= max(0, left))
                if left < 0:
                    for take in self._takes(powered_on(host["name"])):
                        self.model.add(take == 0)
            if host["disk_mib"] is not None:
                own = [each["disk_mib"] * at for each, at in zip(self.options, here, strict=True)]
                self.model.add(
                    sum(take * mib for take, mib in zip(self.takes, own, strict=True)) <= host["disk_mib"]
                )
            for port in {port for each in self.options for port in each["ports"]}:
                self.model.add_at_most_one(self._takes(with_port(host["name"], port)))

    def _pool(self, host: Json, ram_left: cp_model.LinearExprT) -> None:
        for i, card in enumerate(self.problem["cards"]):
            if card["unified"] and card["host"] == host["name"]:
                free = self.model.new_int_var(0, card["usable_mib"], "")
                self.model.add_min_equality(free, [self.free[i], ram_left])
                self.free[i] = free

    def _sets_stay_together(self) -> None:
        for members, _ in self.sets:
            homes = []
            for host in self.problem["hosts"]:
                home = self.model.new_bool_var("")
                homes.append(home)
                for take in self._takes(of_members(host["name"], members)):
                    self.model.add_implication(take, home)
            self.model.add_at_most_one(homes)

    def solve(self) -> Values:
        """All values, each proven before the next is looked at."""
        priorities = sorted({each["priority"] for each in self.workloads.values()}, reverse=True)
        placed = [self._sum(self._of_priority(p)) for p in priorities]
        first = [self._most(each) for each in placed]
        second = None if self.problem["rebalance"] else self._least(self._changed())
        third = [
            self._least(
                sum(
                    take * each["rank"]
                    for take, each in zip(self.takes, self.options, strict=True)
                    if self.workloads[each["workload"]]["priority"] == priority
                )
            )
            for priority in priorities
        ]
        fourth = self._most(
            sum(
                take * self.workloads[each["workload"]]["load"] * (each["decitokens_per_second"] or 0)
                for take, each in zip(self.takes, self.options, strict=True)
            )
        )
        fifth, sixth = self._least(sum(self.alone)), self._least(sum(self.in_use))
        return [first, second, third, fourth, fifth, sixth, self._seventh()]

    def _sum(self, holds: Query) -> cp_model.LinearExprT:
        return sum(self._takes(holds))

    def _changed(self) -> cp_model.LinearExprT:
        running = sum(1 for each in self.workloads.values() if each["incumbent"])
        return running - self._sum(
            lambda each: (
                self.workloads[each["workload"]]["incumbent"]
                and not changed(self.workloads[each["workload"]], each)
            )
        )

    def _seventh(self) -> int:
        if not self.free:
            return 0
        most = max(card["usable_mib"] for card in self.problem["cards"])
        largest = self.model.new_int_var(0, most, "")
        self.model.add_max_equality(largest, self.free)
        return self._most(largest)

    def _most(self, objective: cp_model.LinearExprT) -> int:
        self.model.maximize(objective)
        return self._solve(objective)

    def _least(self, objective: cp_model.LinearExprT) -> int:
        self.model.minimize(objective)
        return self._solve(objective)

    def _solve(self, objective: cp_model.LinearExprT) -> int:
        solver = cp_model.CpSolver()
        solver.parameters.num_workers = 1
        if self._budget is not None:
            solver.parameters.max_deterministic_time = self._budget
        status = solver.solve(self.model)
        assert status == cp_model.OPTIMAL or (self._budget is not None and status == cp_model.FEASIBLE)
        self.proven = self.proven and status == cp_model.OPTIMAL
        value = int(solver.value(objective))
        self.model.add(objective == value)
        return value
