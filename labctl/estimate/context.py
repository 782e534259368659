"""What a process takes on a card before it allocates anything."""

from labctl.estimate.claim import MIB, Term

SOURCE = "measured CUDA contexts: 250, 320, 457 and 500 MiB in use by card, driver and loaded kernels"
LOW_MIB, EXPECTED_MIB, HIGH_MIB = 250, 320, 500


def context_term() -> Term:
    """One process on one card: CUDA context and loaded kernels."""
    return Term(
        "context_overhead",
        "CUDA context of the process",
        LOW_MIB * MIB,
        EXPECTED_MIB * MIB,
        HIGH_MIB * MIB,
        f"{LOW_MIB}–{HIGH_MIB} MiB per process and card",
        SOURCE,
    )
