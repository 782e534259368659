"""Which cards answer: nvidia-smi tells of none as soon as one is lost, and has to be asked one by one then."""

from __future__ import annotations

from labctl.rig.host_report import asking

UUID = "GPU-[0-9a-f-]+"


def of_each(fields: str) -> str:
    """A command (sh) that prints what the cards that answer say of fields of --query-gpu: sorted, no line twice."""
    asked = asking(f"--query-gpu={fields} --format=csv,noheader")
    # Under `set -e` a complaint of nvidia-smi's would end the asking; not in ( ), for $(( is arithmetic.
    return f"{{ set +e{asked}}} | grep -v -e 'device handle' -e '^Problem with GPU' -e '^[[:space:]]*$' | sort -u"


ANSWERING = f"{of_each('uuid')} | grep -oE '{UUID}'"
"""A command (sh) that prints the UUIDs of the cards that answer, sorted."""
