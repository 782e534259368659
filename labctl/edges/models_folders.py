"""The one place that says where each host of an inventory keeps its model files."""

from labctl.edges.inventory_argument import split
from labctl.edges.inventory_settings import models_folder
from labctl.edges.patched_library import import_pyinfra


def models_folders(inventory: str) -> dict[str, str]:
    """By host of `FILE`, or the one of `FILE:HOST`: its `models_folder`, or the usual one. No host is asked.

    For `HostFacts.models_folder` and `HostModels`. Raises BadInput for an inventory that cannot be used.
    """
    import_pyinfra()

    from labctl.edges.deploy_request import DeployRequest
    from labctl.edges.inventory_file import load_inventory

    path, name = split(inventory)
    hosts = load_inventory(DeployRequest("read", path, limit=(name,) if name else ()))
    return {host.name: models_folder(f"inventory: {host.name}", host.data.dict()) for host in hosts}
