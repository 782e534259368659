"""The machine of vagrant/Vagrantfile, reached the way `vagrant ssh` reaches it.

cd vagrant && vagrant up && vagrant ssh-config > ssh-config && cd ..
pyinfra inventory/vagrant.py deploy/gpu_host.py
"""

from pathlib import Path

_ssh_config = Path(__file__).resolve().parent.parent / "vagrant" / "ssh-config"

hosts = [
    (
        "aibox",
        {
            "ssh_config_file": str(_ssh_config),
            # A new box has a new host key every time it is made; it is reached over this machine's loopback only.
            "ssh_strict_host_key_checking": "no",
            "ssh_known_hosts_file": "/dev/null",
        },
    ),
]
