"""A GPU host, from bare to ready: the roles in their order, and nothing else."""

from labctl.edges.pyinfra_roles import deploy_roles
from roles.base.deploy import base
from roles.container_toolkit.deploy import container_toolkit
from roles.cuda.deploy import cuda
from roles.firewall.deploy import firewall
from roles.gpu_power.deploy import gpu_power
from roles.gpu_tuning.deploy import gpu_tuning
from roles.monitoring.deploy import monitoring
from roles.nvidia_driver.deploy import nvidia_driver
from roles.nvidia_persistence.deploy import nvidia_persistence
from roles.podman.deploy import podman
from roles.workloads.deploy import workloads

deploy_roles(
    base,
    firewall,
    nvidia_driver,
    cuda,
    nvidia_persistence,
    container_toolkit,
    podman,
    monitoring,
    gpu_power,  # last: one card that refuses its limit must not keep the host from the rest
    gpu_tuning,
    workloads,  # checks alone, of what `labctl apply` put in place
)
