"""Throwaway Debian hosts to test on: real systemd, real SSH, real apt, room for real Podman. Needs root.

    with ThrowawayHosts() as hosts:
        aibox = hosts.boot("aibox")                    # Debian 13; suite="bookworm" for 12
        aibox.run("id", sudo=True).stdout              # over SSH, as the user `lab` who may sudo
        aibox.console_run("ip link")                   # as root past the network, also with the cable out
        aibox.ipv4, aibox.ipv6, aibox.ssh_port, aibox.user, aibox.key_path, aibox.known_hosts_path
        aibox.pyinfra_data()                           # the same as an inventory wants it
        aibox.reboot(), aibox.power_cut(), aibox.power_on(), aibox.power_off()
        aibox.cut_cable(), aibox.restore_cable()
        aibox.reset()                                  # back to the disk it started from
        aibox.logs()                                   # its journal
        with aibox.delayed(25) as near:                # 127.0.0.1:near.port, 25 ms away in each direction
            ...
        first, second = hosts.boot_all("first", "second")    # on one switch: they reach each other by IPv4 and IPv6
        hosts.cut_uplink(), hosts.restore_uplink()     # the outside, for all hosts of the session
        hosts.destroy(second)

        aibox.power_off()
        layer = aibox.save_layer("converged")          # the disk as it is, for this session
        other = hosts.boot("other", layer=layer)       # any number of hosts that start there, at no cost
        layer = hosts.cached_layer("converged", key, prepare=deploy_to)    # kept for later sessions
        registry = image_registry.prepare(hosts, aibox)    # its Podman pulls an image for every service, see there

In tests the fixtures of `fixtures.py` do this. `python -m tests.host up` boots one to play with.

LABCTL_TEST_CACHE names the folder for base images, layers, packages and sessions (default /var/cache/labctl-tests);
LABCTL_TEST_DEBIAN_MIRROR a Debian mirror, where this machine's own apt knows none.

What these hosts are. systemd-nspawn containers in namespaces of their own; session.py says how they start and why
nothing is left behind even after SIGKILL, network.py how they are wired, base_image.py what is on them.

What they cannot show. They share the machine's kernel: no clock is set (timesyncd and others skip themselves), no
module loads, no kernel is booted, no sysctl outside net.* changes (read-only there). Resource limits are not
enforced where the machine has cgroup v1 beside v2. A power cut loses memory and /run but no unsynced write, and a
guest that reboots itself finds its cable plugged in. There is no GPU. A check that means one of those reports "not
run here", never green.

What on them is the harness's and no Debian server's: every file named throwaway-host in /etc, above all
`/etc/containers/containers.conf.d/50-throwaway-host.conf` (without delegated controllers Podman starts nothing until
`pids_limit = 0`), the mounts /srv and /var/lib/containers (disk.py), and a mask on getty.
"""

from tests.host.disk import Layer
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

__all__ = ["Layer", "ThrowawayHost", "ThrowawayHosts"]
