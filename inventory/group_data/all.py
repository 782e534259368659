"""Settings of every host. Each name is a role; what is not said here has the default shown."""

from labctl.settings import (
    BaseData,
    ContainerToolkitData,
    CudaData,
    FirewallData,
    GpuPowerData,
    GpuTuningData,
    MonitoringData,
    NvidiaDriverData,
    NvidiaPersistenceData,
    PodmanData,
)

base: BaseData = {
    "packages": [],  # more packages of the distribution
    "journald_max_use": "1G",
    "unattended_upgrades": True,  # security updates at night, never the kernel or the driver
    "sysctls": {},  # more kernel settings
}

firewall: FirewallData = {
    "manage": True,  # False: leave the firewall this host has alone
    "ssh_sources": [],  # networks SSH is open to; [] is all of them
    "exposed": [],  # what else may be reached: {"port": 443, "from": ["192.168.1.0/24"]}
    "undo_seconds": 45,  # a change that nobody can log in after is undone by the host after this time
}

# A host without a card of NVIDIA's gets none of the next four. Look first: labctl preflight inventory/home.py
nvidia_driver: NvidiaDriverData = {
    "manage": True,  # False: leave the driver this host has alone
    "source": None,  # "nvidia" or "distribution"; None: what labctl preflight says
    "branch": None,  # 580; None: what labctl preflight says
    "flavour": None,  # "open" or "proprietary" kernel module; None: what labctl preflight says
    "reboot": True,  # when another driver is loaded than the one that is installed; False: a person does it
}
cuda: CudaData = {
    "toolkit": True,  # CUDA 12's compiler on the host; False: containers bring their own
}
nvidia_persistence: NvidiaPersistenceData = {"manage": True}
container_toolkit: ContainerToolkitData = {"manage": True}

podman: PodmanData = {
    "storage": "/var/lib/containers/storage",
    "search_registries": ["docker.io"],
    "mirrors": [],  # {"registry": "docker.io", "mirror": "nas.home:5000", "insecure": True}
    "logins": [],  # {"registry": "ghcr.io", "username": "me", "password": Secret.env("GHCR_TOKEN")}
    "prune": "weekly",
}

# Opt-in: metrics for Prometheus, of the host and its cards, at http://127.0.0.1:9100/metrics
monitoring: MonitoringData = {
    "enabled": False,
    "expose": False,  # True: with {"port": 9100, "from": ["192.168.1.5"]} in firewall.exposed, for who collects them
    "every_seconds": 30,  # how often the cards are asked
}

# Try them first: labctl power --set rtx-3090=280
gpu_power: GpuPowerData = {
    "limits": {},  # watts, by model, by UUID or for "all": {"rtx-3090": 280}; every name must be a card of the host
    "budget_watts": None,  # for all cards of a host together, split where it costs the least speed
}

# Opt-in: least and most MHz, by model, by UUID or for "all"; `nvidia-smi -q -d SUPPORTED_CLOCKS` lists them.
gpu_tuning: GpuTuningData = {
    "graphics_mhz": {},  # much as undervolting does: {"rtx-3090": [210, 1695]}
    "memory_mhz": {},
}
