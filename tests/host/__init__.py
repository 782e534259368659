"""Throwaway Debian hosts to test on: real systemd, real SSH, real apt, room for real Podman. Needs root.

    with ThrowawayHosts() as hosts:
        aibox = hosts.boot("aibox")                    # Debian 13; suite="bookworm" for 12
        aibox.run("id", sudo=True).stdout              # over SSH, as the user `lab` who may sudo
        aibox.console_run("ip link")                   # as root past the network, also with the cable out
        aibox.ipv4, aibox.ipv6, aibox.ssh_port, aibox.user, aibox.key_path, aibox.known_hosts_path
        aibox.reboot(); aibox.power_cut(); aibox.power_on(); aibox.power_off()
        aibox.cut_cable(); aibox.restore_cable()
        aibox.reset()                                  # back to the disk it started from
        aibox.logs()                                   # its journal
        with aibox.delayed(25) as near:                # 127.0.0.1:near.port, 25 ms away in each direction
            ...
        layer = aibox.save_layer("converged")          # after power_off()
        other = hosts.boot("other", layer=layer)       # any number, at no cost

In tests the fixtures of `fixtures.py` do this. `python -m tests.host up` boots one to play with.

What these hosts are. systemd-nspawn containers in namespaces of their own; what starts them, and why nothing is left
behind even after SIGKILL, is in session.py. They share the machine's kernel, so they cannot show: the clock being
set, modules loading, kernel upgrades taking effect, sysctls outside net.* (read-only there), resource limits where
the machine has cgroup v1 beside v2, unsynced writes lost in a power cut, and anything of a GPU. A check that means
one of those reports "not run here", never green. `/etc/containers/containers.conf.d/50-throwaway-host.conf` is the
harness's: without delegated controllers, Podman starts nothing until `pids_limit = 0`.
"""

from tests.host.disk import Layer
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

__all__ = ["Layer", "ThrowawayHost", "ThrowawayHosts"]
