"""What everything that labctl runs on a host is called."""

OUR_PREFIX = "labctl-"
"""Of each of its systemd units, and of each container."""
OUR_SLICE = "labctl.slice"
OUR_LABEL = "labctl.workload"
"""What Quadlet gives every container of ours, beside its name."""
