"""One throwaway host, as tests, demo and benchmarks use it."""

import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from labctl.errors import Failed
from tests.host import identity, network, ssh
from tests.host.base_image import USER
from tests.host.delay_proxy import DelayProxy
from tests.host.disk import Layer
from tests.host.machine import Machine

_BOOT_TIMEOUT_S = 60.0
_RUN_TIMEOUT_S = 120.0


@dataclass(repr=False)
class ThrowawayHost:
    """A Debian host of its own. It is on, and SSH answers, when `ThrowawayHosts.boot` returns it.

    number: its place in the subnet; ipv4 and ipv6 follow from it.
    """

    machine: Machine
    number: int
    user: str = USER
    ssh_port: int = ssh.PORT
    _public_host_key: str = field(default="", init=False)

    def __repr__(self) -> str:
        return f"<ThrowawayHost {self.name} {self.ipv4}>"

    @property
    def name(self) -> str:
        """Its host name."""
        return self.machine.name

    @property
    def suite(self) -> str:
        """Its Debian release."""
        return self.machine.disk.origin.suite

    @property
    def ipv4(self) -> str:
        """Its address as this machine and the other hosts of the session reach it."""
        return self.machine.session.subnet.ipv4(self.number)

    @property
    def ipv6(self) -> str:
        """Its unique local IPv6 address."""
        return self.machine.session.subnet.ipv6(self.number)

    @property
    def key_path(self) -> Path:
        """The private key that logs in as `user`."""
        return self.machine.disk.folder / "id_ed25519"

    @property
    def known_hosts_path(self) -> Path:
        """A known_hosts file with this host's key under its name and all its addresses."""
        return self.machine.disk.folder / "known_hosts"

    @property
    def ssh(self) -> ssh.SshAccess:
        """Logs in over IPv4."""
        return ssh.SshAccess(self.user, self.ipv4, self.key_path, self.known_hosts_path)

    def run(
        self, command: str, *, sudo: bool = False, check: bool = True, timeout_s: float = _RUN_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command over a new SSH connection. Raises `Failed` when it fails and `check` is set."""
        completed = self.ssh.run(command, sudo=sudo, timeout_s=timeout_s)
        if check and completed.returncode != 0:
            raise Failed(
                f"exit code {completed.returncode}: {(completed.stderr + completed.stdout).strip()[-2000:]}",
                where=f"{self.name}: {command}",
            )
        return completed

    def console_run(
        self, command: str, *, check: bool = True, timeout_s: float = _RUN_TIMEOUT_S
    ) -> subprocess.CompletedProcess[str]:
        """Run a shell command as root past the network: it works with the cable out and without sshd."""
        return self.machine.console_run(["/bin/sh", "-c", command], check=check, timeout_s=timeout_s)

    def power_on(self) -> None:
        """Boot and wait for SSH (unless the cable is out: then only for the guest to exist)."""
        self.machine.power_on()
        self.wait_for_ssh()

    def wait_for_ssh(self, timeout_s: float = _BOOT_TIMEOUT_S) -> None:
        """Return once a login works."""
        try:
            self.ssh.wait_until_up(timeout_s)
        except Failed as error:
            raise Failed(str(error), hint=f"Its console said: {self.machine.console_tail()}") from error

    def wait_running(self) -> str:
        """Wait until the boot is over; returns systemd's verdict: `running`, `degraded`, …"""
        return self.console_run("systemctl is-system-running --wait", check=False).stdout.strip()

    def boot_id(self) -> str:
        """Changes with every boot, as on any host."""
        return self.console_run("cat /proc/sys/kernel/random/boot_id").stdout.strip()

    def reboot(self) -> None:
        """Reboot in order, and wait for SSH."""
        before = self.machine.leader()
        self.console_run("systemctl --no-block reboot")
        self.machine.wait_for_next_leader(before)
        self.wait_for_ssh()

    def power_off(self) -> None:
        """Shut down in order, and wait for it."""
        self.machine.power_off()

    def power_cut(self) -> None:
        """Stop at once. The disk keeps all that was written, synced or not; memory and /run are lost."""
        self.machine.power_cut()

    def cut_cable(self) -> None:
        """Pull the network cable; the guest sees its carrier go."""
        network.set_cable(self.machine.session, self.machine.link, connected=False)

    def restore_cable(self) -> None:
        """Plug the network cable in again and wait for SSH."""
        network.set_cable(self.machine.session, self.machine.link, connected=True)
        self.wait_for_ssh()

    def reset(self) -> None:
        """Back to the disk it started from, and booted; same name, addresses and keys."""
        self.power_cut()
        disk = self.machine.disk
        disk.unmount()
        disk.wipe()
        self.prepare()
        self.power_on()

    def save_layer(self, name: str) -> Layer:
        """Freeze what is on the disk of this powered-off host, for the rest of the session.

        `ThrowawayHosts.boot(layer=…)` starts any number of hosts from it; this one can be powered on and goes on.
        """
        disk = self.machine.disk
        layer = self.freeze(self.machine.session.folder / "layers" / name)
        disk.mount()
        return layer

    def freeze(self, folder: Path) -> Layer:
        """Move what is on the disk of this powered-off host into `folder`; the disk is unmounted after."""
        if self.machine.is_on:
            raise Failed(f"{self.name} is on", hint="Call power_off() first: a disk in use cannot be frozen")
        self.machine.disk.unmount()
        return self.machine.disk.freeze(folder)

    @contextmanager
    def delayed(self, milliseconds: float) -> Iterator[DelayProxy]:
        """An SSH port on 127.0.0.1 that is `milliseconds` away from this host in each direction."""
        with DelayProxy((self.ipv4, self.ssh_port), milliseconds) as proxy:
            with self.known_hosts_path.open("a") as known_hosts:
                known_hosts.write(ssh.known_host("127.0.0.1", self._public_host_key, proxy.port))
            yield proxy

    def pyinfra_data(self) -> dict[str, object]:
        """What this host's entry in a pyinfra inventory needs, beside its name."""
        return {
            "ssh_hostname": self.ipv4,
            "ssh_port": self.ssh_port,
            "ssh_user": self.user,
            "ssh_key": str(self.key_path),
            "ssh_known_hosts_file": str(self.known_hosts_path),
            "ssh_strict_host_key_checking": "yes",
        }

    def ssh_command(self) -> str:
        """A line to paste into a shell."""
        return shlex.join(self.ssh.argv())

    def logs(self, lines: int | None = None) -> str:
        """The guest's journal of all boots, on or off; its last `lines`, or all of it."""
        command = ["journalctl", "--no-pager", "--output=short-precise", "--directory=/var/log/journal"]
        command += [f"--lines={lines}"] if lines else []
        root = str(self.machine.disk.root)
        completed = self.machine.session.run(["chroot", root, *command], check=False)
        return completed.stdout or completed.stderr

    def destroy(self) -> None:
        """Power cut, and the disk is gone; called by `ThrowawayHosts.destroy`."""
        self.power_cut()
        self.machine.disk.unmount()
        shutil.rmtree(self.machine.disk.folder)

    def prepare(self) -> None:
        """Mount the disk and make it this host's own: name, addresses, keys."""
        disk = self.machine.disk
        disk.mount()
        if not self.key_path.exists():
            self._make_keys()
        who = identity.Identity(
            name=self.name,
            machine_id=uuid.uuid4().hex,
            addresses=(f"{self.ipv4}/24", f"{self.ipv6}/64"),
            gateways=(self.machine.session.subnet.router4, self.machine.session.subnet.router6),
            name_server=self.machine.session.subnet.router4,
            authorized_key=self.key_path.with_name("id_ed25519.pub").read_text(),
            host_key=self.key_path.with_name("host_key").read_text(),
            public_host_key=self._public_host_key,
        )
        identity.write(who, self.machine.session.path(disk.root))

    def _make_keys(self) -> None:
        ssh.make_key(self.key_path, f"throwaway key for {self.name}")
        self._public_host_key = ssh.make_key(self.key_path.with_name("host_key"), f"root@{self.name}")
        names = (self.name, self.ipv4, self.ipv6)
        self.known_hosts_path.write_text("".join(ssh.known_host(n, self._public_host_key) for n in names))
