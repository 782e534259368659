"""Workloads that run much slower than they could, since what was wished first is served first: formats, then the rest.

Moving layers to RAM comes last among a workload's wishes (PLACEMENT's order of variants), so that it is tried before a
smaller context or a smaller format. A person who allows it seldom knows that.
"""

from dataclasses import dataclass, replace

from labctl.place.placement import Placement, place
from labctl.place.problem import Option

# Less than this much more is not worth a word.
WORTH_SAYING = 1.5


@dataclass(frozen=True)
class Faster:
    """What a workload would do with all of its layers on cards. option: how it would run then, asked again."""

    workload: str
    now_decitokens: int
    option: Option

    @property
    def then_decitokens(self) -> int:
        """Tokens/s in tenths."""
        return self.option.decitokens_per_second or 0


def faster(placement: Placement) -> tuple[Faster, ...]:
    """By name. Only where every workload that has a place keeps one."""
    found = []
    for name, option in placement.placed.items():
        now = option.decitokens_per_second
        if now is None or not {"n_gpu_layers", "n_cpu_moe"} & set(option.variant):
            continue
        wishes = tuple(
            replace(wish, workload=replace(wish.workload, offload=False))
            if wish.workload.name == name
            else wish
            for wish in placement.question.wishes
        )
        then = place(replace(placement.question, wishes=wishes)).placed
        if not set(placement.placed) <= set(then):
            continue
        if (then[name].decitokens_per_second or 0) >= WORTH_SAYING * max(now, 1):
            found.append(Faster(name, now, then[name]))
    return tuple(found)
