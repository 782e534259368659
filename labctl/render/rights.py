"""What a container may do, and how it is told from one that is not well. What is not the strictest has its reason."""

from labctl.render.unit_text import UnitText, shell
from labctl.workloads.container import Container

# Twice Podman's own default: inference servers start a thread per core and more per request.
MOST_PIDS = 4096
# Until it was healthy once. Podman asks as soon as a container runs, when nothing listens yet, and then only after the
# whole interval, for which whoever starts it, and whoever comes after it on its card, would wait for nothing.
_STARTUP_INTERVAL_SECONDS = 2


def say_rights(text: UnitText, container: Container) -> None:
    """User, capabilities, root file system, processes."""
    security = container.security
    if security.user:
        user, _, group = security.user.partition(":")
        text.say("Container", "User", user)
        text.say("Container", "Group", group)
    elif security.root:
        text.remark("Container", f"It runs as root: {security.root}.")
    else:
        text.remark("Container", f"It runs as its image says, {container.runs_as or 'whoever that is'}.")
    text.say("Container", "DropCapability", "all")
    for capability in security.capabilities:
        text.remark("Container", f"{capability.name}: {capability.why}.")
        text.say("Container", "AddCapability", capability.name)
    if security.new_privileges:
        text.remark("Container", f"It may gain privileges: {security.new_privileges}.")
    else:
        text.say("Container", "NoNewPrivileges", "true")
    if security.writable_root:
        text.remark("Container", f"Its root can be written: {security.writable_root}.")
    else:
        text.say("Container", "ReadOnly", "true")
    text.say("Container", "PidsLimit", MOST_PIDS)
    if container.shm_mib:
        text.say("Container", "ShmSize", f"{container.shm_mib}m")
    for limit in container.ulimits:
        text.say("Container", "Ulimit", limit)
    if container.init:
        text.say("Container", "RunInit", "true")


def say_health(text: UnitText, container: Container) -> None:
    """How it is asked, and what becomes of one that does not answer."""
    health = container.health
    if health is None:
        text.remark("Container", "No health check: nobody knows how to ask it.")
        return
    text.say("Container", "HealthCmd", shell(health.command))
    text.say("Container", "HealthInterval", f"{health.interval_seconds}s")
    text.say("Container", "HealthTimeout", f"{health.timeout_seconds}s")
    text.say("Container", "HealthRetries", health.retries)
    text.say("Container", "HealthStartPeriod", f"{health.start_seconds}s")
    text.say("Container", "HealthStartupCmd", shell(health.command))
    text.say("Container", "HealthStartupInterval", f"{_STARTUP_INTERVAL_SECONDS}s")
    text.say("Container", "HealthStartupTimeout", f"{health.timeout_seconds}s")
    text.say("Container", "HealthOnFailure", "kill" if health.unhealthy == "kill" else "none")
    text.say("Container", "Notify", "healthy")
