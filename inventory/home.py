"""Your machines. Put your server's address in, then: pyinfra inventory/home.py deploy/gpu_host.py   (or: labctl deploy)

Settings for every host are in group_data/all.py beside this file; what is said here for one host wins over them.
"""

hosts = [
    (
        "aibox",
        {
            "ssh_hostname": "192.168.1.20",  # its address, or a name that resolves
            "ssh_user": "lab",  # a user who may use sudo, or root
            # "ssh_key": "~/.ssh/id_ed25519",   # default: your agent and your usual keys
            # "base": {"journald_max_use": "4G"},
            # "firewall": {"exposed": [{"port": 443, "from": ["192.168.1.0/24"]}]},
            # "podman": {"storage": "/srv/containers"},
            # "gpu_power": {"limits": {"rtx-3090": 280}},
            # "models_folder": "/srv/models",  # where model files lie: labctl models pull
            # "monitoring": {"enabled": True},
            # "gpu_tuning": {"graphics_mhz": {"rtx-3090": [210, 1695]}},
        },
    ),
]

# On the server itself no SSH is needed; use this line instead of the list above (and remove the other one):
# hosts = ["@local"]
