"""What makes a cloned disk one particular host: its name, addresses, keys and machine id."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from tests.host.base_image import USER

# A timer that was never stamped is overdue: without these, apt's daily jobs would race every test.
_STAMPED_TIMERS = ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all", "fstrim")


@dataclass(frozen=True)
class Identity:
    """addresses: with prefix length. machine_id: 32 hex digits. The keys are whole files."""

    name: str
    machine_id: str
    addresses: tuple[str, ...]
    gateways: tuple[str, ...]
    name_server: str
    authorized_key: str
    host_key: str
    public_host_key: str


def write(identity: Identity, root: Path) -> None:
    """Write it into the file system at `root`, over whoever the disk was before."""
    text = {
        "etc/hostname": f"{identity.name}\n",
        "etc/hosts": f"127.0.0.1 localhost\n127.0.1.1 {identity.name}\n::1 localhost ip6-localhost ip6-loopback\n",
        "etc/machine-id": f"{identity.machine_id}\n",
        "etc/resolv.conf": f"nameserver {identity.name_server}\n",
        "etc/systemd/network/10-lan.network": _network(identity),
        "etc/ssh/ssh_host_ed25519_key.pub": identity.public_host_key,
    }
    for path, content in text.items():
        _write(root / path, content, 0o644)
    _write(root / "etc/ssh/ssh_host_ed25519_key", identity.host_key, 0o600)
    authorized_keys = root / f"home/{USER}/.ssh/authorized_keys"
    _write(authorized_keys, identity.authorized_key, 0o600)
    home = authorized_keys.parent.stat()
    os.chown(authorized_keys, home.st_uid, home.st_gid)
    stamps = root / "var/lib/systemd/timers"
    stamps.mkdir(parents=True, exist_ok=True)
    for timer in _STAMPED_TIMERS:
        (stamps / f"stamp-{timer}.timer").touch()
    # A layer keeps the journals of the host it was made on; here they would be somebody else's.
    for journal in (root / "var/log/journal").glob("*/"):
        shutil.rmtree(journal)


def _network(identity: Identity) -> str:
    # Without duplicate address detection, which takes a second during which the address cannot be used.
    addresses = "".join(
        f"\n[Address]\nAddress={address}\nDuplicateAddressDetection=none\n" for address in identity.addresses
    )
    gateways = "".join(f"Gateway={gateway}\n" for gateway in identity.gateways)
    return f"[Match]\nName=host0\n\n[Network]\nDHCP=no\nIPv6AcceptRA=no\n{gateways}{addresses}"


def _write(path: Path, content: str, mode: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.write_text(content)
    path.chmod(mode)
