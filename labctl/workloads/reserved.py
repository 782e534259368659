"""Names that no workload may have, for labctl itself has units, containers or accounts that are called so.

A workload's unit is labctl-NAME.service. One of the same name in /etc/systemd/system wins over what Quadlet makes: the
firewall's would start in the place of a workload `firewall`, and be stopped, and removed, in its place too.
"""

import re

# Pulls of models, throwaway containers of checks and units of single cards have more words in their names.
PATTERN = (
    r"^(apt|cdi|firewall(-undo)?|gpu-metrics|prune-images|check-[0-9].*|gpu-(power|tuning).*|"
    r"(models|transaction)(-.*)?)$"
)
_RESERVED = re.compile(PATTERN)


def is_reserved(name: str) -> bool:
    """Whether something of labctl's own is called labctl-NAME."""
    return _RESERVED.match(name) is not None
