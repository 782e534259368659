"""A GPU host, from bare to ready: the roles in their order, and nothing else."""

from labctl.edges.pyinfra_roles import deploy_roles
from roles.base.deploy import base
from roles.firewall.deploy import firewall
from roles.gpu_power.deploy import gpu_power
from roles.podman.deploy import podman

deploy_roles(
    base,
    firewall,
    # nvidia_driver, cuda, container_toolkit and nvidia_persistence have their place here
    podman,
    gpu_power,  # last: one card that refuses its limit must not keep the host from the rest
)
