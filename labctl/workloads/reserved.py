"""How a workload may be called, and names that none may have: units, containers and accounts of labctl's own.

A workload's unit is labctl-NAME.service. One of the same name in /etc/systemd/system wins over what Quadlet makes: the
firewall's would start in the place of a workload `firewall`, and be stopped, and removed, in its place too.
"""

import re

NAME = r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
# Pulls of models, throwaway containers of checks and units of single cards have more words in their names.
PATTERN = (
    r"^(apt|cdi|firewall(-undo)?|gpu-metrics|prune-images|check-[0-9].*|gpu-(power|tuning).*|"
    r"(models|transaction)(-.*)?)$"
)
_RESERVED = re.compile(PATTERN)


def is_name(name: str) -> bool:
    """Whether a workload could be called so, reserved or not."""
    return re.fullmatch(NAME, name) is not None


def is_reserved(name: str) -> bool:
    """Whether something of labctl's own is called labctl-NAME."""
    return _RESERVED.match(name) is not None
