"""What the workloads file says a thing takes. A declared `vram_mib` is the whole claim: nothing is added to it."""

from labctl.errors import BadInput
from labctl.estimate.claim import MIB, Estimate, PlaceEstimate, Request, exact

SOURCE = "declared in the workloads file"


def estimate(name: str, vram_mib: int, *, n_gpus: int = 1, host_mib: int = 0) -> Estimate:
    """The same claim on each card, exactly as declared. Raises BadInput for a negative one."""
    for key, value in (("vram_mib", vram_mib), ("host_mib", host_mib)):
        if value < 0:
            raise BadInput(
                "a claim cannot be negative", where=f"{name}.{key}", found=str(value), expected="0 or more"
            )
    card = exact("weights", "declared", vram_mib * MIB, f"{vram_mib} MiB", SOURCE)
    host = exact("weights", "declared", host_mib * MIB, f"{host_mib} MiB", SOURCE)
    return Estimate(
        model=name,
        request=Request(engine="declared", context=0, n_gpus=n_gpus),
        cards=tuple(PlaceEstimate(str(index), (card,)) for index in range(n_gpus)),
        host=PlaceEstimate("host", (host,) if host_mib else ()),
        confidence="high",
    )
