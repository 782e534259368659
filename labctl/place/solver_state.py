"""A placement that is being put together: what is taken, and what more would fit."""

from labctl.place.solver_instance import Candidate, Instance

Undo = list[tuple[int, int]]


class State:
    """used: per resource, time-share sets as the most of their states. workloads_on: per card how many."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._capacities = instance.capacities
        self._n_cards = len(instance.cards)
        self._usable = [card.usable_mib for card in instance.cards]
        self._peers_of = [len(card.nvlink) for card in instance.cards]
        hosts = {host.name: number for number, host in enumerate(instance.hosts)}
        self._pool_of = {
            number: instance.ram(hosts[card.host])
            for number, card in enumerate(instance.cards)
            if card.unified
        }
        self.used = [0] * len(self._capacities)
        self.workloads_on: list[list[int]] = [[] for _ in instance.cards]
        self._alone_on = [0] * self._n_cards
        self.peers = 0
        self.cards_in_use = 0
        self._sums: dict[tuple[int, int], list[int]] = {}
        self._homes: list[list[int]] = [[] for _ in instance.shared]

    def fits(self, candidate: Candidate) -> bool:
        """Whether no limit is broken with it."""
        number = self._instance.set_of.get(candidate.workload)
        if number is not None and self._homes[number] and self._homes[number][0] != candidate.host:
            return False
        for resource, amount in candidate.needs:
            capacity = self._capacities[resource]
            if capacity is not None:
                more = amount if number is None else self._more(number, candidate.workload, resource, amount)
                if self.used[resource] + more > capacity:
                    return False
        apart = self._instance.apart[candidate.workload]
        return not apart or not any(
            other in apart for card in candidate.cards for other in self.workloads_on[card]
        )

    def _more(self, number: int, workload: int, resource: int, amount: int) -> int:
        """By how much a member of a time-share set raises what the set takes."""
        if resource >= self._instance.first_added:
            return amount
        states = self._instance.shared[number].states
        sums = self._sums.get((number, resource)) or [0] * len(states)
        raised = max(
            total + (amount if workload in state else 0) for total, state in zip(sums, states, strict=True)
        )
        return raised - max(sums)

    def place(self, candidate: Candidate) -> Undo:
        """Takes what it needs; what comes back is for `take_back`."""
        number = self._instance.set_of.get(candidate.workload)
        undo = []
        for resource, amount in candidate.needs:
            more = amount if number is None else self._more(number, candidate.workload, resource, amount)
            self.used[resource] += more
            undo.append((resource, more))
            if number is not None:
                self._change_set(number, candidate.workload, resource, amount)
        if number is not None:
            self._homes[number].append(candidate.host)
        for card in candidate.cards:
            self.cards_in_use += not self.workloads_on[card]
            self.workloads_on[card].append(candidate.workload)
        if len(candidate.cards) == 1:
            card = candidate.cards[0]
            self.peers += 0 if self._alone_on[card] else self._peers_of[card]
            self._alone_on[card] += 1
        return undo

    def take_back(self, candidate: Candidate, undo: Undo) -> None:
        """As it was before `place`; the last placed first."""
        number = self._instance.set_of.get(candidate.workload)
        for resource, more in undo:
            self.used[resource] -= more
        if number is not None:
            for resource, amount in candidate.needs:
                self._change_set(number, candidate.workload, resource, -amount)
            self._homes[number].pop()
        for card in candidate.cards:
            self.workloads_on[card].pop()
            self.cards_in_use -= not self.workloads_on[card]
        if len(candidate.cards) == 1:
            card = candidate.cards[0]
            self._alone_on[card] -= 1
            self.peers -= 0 if self._alone_on[card] else self._peers_of[card]

    def _change_set(self, number: int, workload: int, resource: int, amount: int) -> None:
        if resource < self._instance.first_added:
            states = self._instance.shared[number].states
            sums = self._sums.setdefault((number, resource), [0] * len(states))
            for place, state in enumerate(states):
                sums[place] += amount if workload in state else 0

    def cost(self, candidate: Candidate) -> tuple[int, int, int]:
        """For choosing among equals: NVLink peers and cards newly taken, then the memory left on its cards."""
        peers = 0
        if len(candidate.cards) == 1 and not self._alone_on[candidate.cards[0]]:
            peers = self._peers_of[candidate.cards[0]]
        new = sum(not self.workloads_on[card] for card in candidate.cards)
        left = sum(self._usable[card] - self.used[card] for card in candidate.cards)
        return peers, new, left

    def last_tiers(self) -> tuple[int, int, int]:
        """Tiers 5 to 7, more is better."""
        return -self.peers, -self.cards_in_use, self.most_free(0)

    def peak(self, shared: int, resource: int) -> int:
        """What a time-share set takes."""
        return max(self._sums.get((shared, resource), [0]))

    def free_mib(self, card: int) -> int:
        """Of one card; on unified memory at most what RAM has left."""
        free = self._usable[card] - self.used[card]
        if card in self._pool_of:
            pool = self._pool_of[card]
            free = min(free, (self._capacities[pool] or 0) - self.used[pool])
        return free

    def most_free(self, needed_mib: int) -> int:
        """The largest free memory of one card, at most that of all cards less what is still needed."""
        free = [self.free_mib(card) for card in range(self._n_cards)]
        if not free:
            return 0
        if needed_mib and not self._pool_of:
            return min(max(free), sum(free) - needed_mib)
        return max(free)

    def cards_more(self, needed_mib: int) -> int:
        """At least how many cards have to be opened for so much memory."""
        free = [self._usable[card] - self.used[card] for card in range(self._n_cards)]
        left = needed_mib - sum(free[card] for card in range(self._n_cards) if self.workloads_on[card])
        count = 0
        for size in sorted(
            (free[card] for card in range(self._n_cards) if not self.workloads_on[card]), reverse=True
        ):
            if left <= 0:
                break
            left -= size
            count += 1
        return count
