"""What a person writes behind --inventory."""

from labctl.errors import BadInput


def split(inventory: str) -> tuple[str, str | None]:
    """`inventory/home.py:aibox` as file and host; a host is only looked for behind a Python file or @connector."""
    path, colon, host = inventory.rpartition(":")
    if colon and (path.endswith(".py") or path == "@local"):
        if not host:
            raise BadInput(
                "no host behind the colon", where="--inventory", found=inventory, expected="FILE:HOST"
            )
        return path, host
    return inventory, None
