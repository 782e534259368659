"""What becomes of workloads, in a clause each."""

from labctl.apply.changes import GenerationChange, WorkloadChange


def what_becomes(change: WorkloadChange) -> str:
    """After the workload's name."""
    why = ", ".join(change.why)
    match change.kind:
        case "added":
            how = "starts" if change.starts else "is put in place; it starts at its time, or when asked to"
            return ", ".join([how, *change.why]).replace(", on ", " on ", 1)
        case "changed":
            parts = [each for each in change.starts if each != change.workload]
            which = "" if change.workload in change.starts else f" ({', '.join(parts)} alone)"
            return f"restarts{which}: {why}"
        case "removed":
            return "stops and goes; its data stays"
        case "started":
            return f"starts again ({', '.join(change.starts)} does not run)"
        case "quiet":
            return f"changes, nothing restarts: {why}"


def summary(change: GenerationChange) -> str:
    """All of them in one line."""
    told = [f"{each.workload} {what_becomes(each)}" for each in change.workloads]
    return "; ".join(told) or "the plan is another, what runs stays as it is"
