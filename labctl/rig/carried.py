"""Cards of the catalogue that labctl carries, read without checking: the tests hold every file to the schema.

The schema's library costs more to import than the whole of a `labctl fit`, and only new files need it.
"""

from collections.abc import Mapping
from typing import Any

from labctl.rig.gpu import Gpu, Price, Source


def gpu(values: Mapping[str, Any]) -> Gpu:
    """The card that a checked file describes."""
    return Gpu(
        **{
            **values,
            "aliases": tuple(values["aliases"]),
            "prices": tuple(
                Price(each["amount"], each["currency"], each["from"], each.get("used"), each.get("seen"))
                for each in values["prices"]
            ),
            "sources": tuple(Source(tuple(each["covers"]), each["from"]) for each in values["sources"]),
        }
    )
