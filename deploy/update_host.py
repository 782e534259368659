"""Kernel and driver of a host, moved together: what `labctl update host` runs."""

from labctl.edges.pyinfra_roles import deploy_apart
from roles.host_update.deploy import host_update

deploy_apart(host_update)
