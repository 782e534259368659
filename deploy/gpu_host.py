"""A GPU host, from bare to ready: the roles in their order, and nothing else."""

from labctl.edges.pyinfra_roles import deploy_roles
from roles.base.deploy import base
from roles.firewall.deploy import firewall
from roles.podman.deploy import podman

deploy_roles(
    base,
    firewall,
    # nvidia_driver, cuda, container_toolkit, nvidia_persistence and gpu_power have their place here
    podman,
)
