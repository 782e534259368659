"""A signed apt repository on a host's own disk, with packages that stand in for those that cannot be fetched here."""

import hashlib
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

from tests.host.simulated_driver import write
from tests.host.throwaway_host import ThrowawayHost

STAND_IN = "STAND-IN for tests, not the vendor's"


@dataclass(frozen=True)
class StandIn:
    """A package. files: path → content, each executable. scripts: maintainer scripts by name, as `postinst`.

    relations: more fields of its control file, as `Conflicts`.
    """

    name: str
    version: str
    files: Mapping[str, str] = field(default_factory=dict)
    depends: str = ""
    scripts: Mapping[str, str] = field(default_factory=dict)
    relations: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class StandInRepository:
    """Where it is, as the settings of a role say it."""

    url: str
    key_url: str
    fingerprint: str

    @property
    def settings(self) -> dict[str, str]:
        """For an inventory."""
        return {"url": self.url, "key_url": self.key_url, "fingerprint": self.fingerprint}


def publish(host: ThrowawayHost, label: str, *packages: StandIn) -> StandInRepository:
    """Build, index, sign, and put it on the host's disk."""
    with tempfile.TemporaryDirectory(prefix="si-") as name:
        folder = Path(name)
        stanzas = [_build(package, folder) for package in packages]
        index = "\n".join(stanzas)
        release = (
            f"Origin: {STAND_IN}\nLabel: {label}\nSuite: stand-in\nArchitectures: amd64\n"
            f"Date: {formatdate(usegmt=True)}\nSHA256:\n {_sha256(index.encode())} {len(index.encode())} Packages\n"
        )
        (folder / "Release").write_text(release)
        key = _sign(folder)
        path = f"usr/local/share/stand-in/{label}"
        write(host, f"{path}/Packages", index)
        for file in (*folder.glob("*.deb"), folder / "InRelease", folder / "key.asc"):
            write(host, f"{path}/{file.name}", file.read_bytes())
    return StandInRepository(f"file:/{path}/", f"file:///{path}/key.asc", key)


def offer(host: ThrowawayHost, label: str, *packages: StandIn) -> None:
    """Add packages to what the host's own archive offers, as though they had always been there."""
    published = publish(host, label, *packages)
    write(
        host,
        f"etc/apt/sources.list.d/stand-in-{label}.sources",
        f"Types: deb\nURIs: {published.url}\nSuites: ./\nSigned-By: {published.key_url.removeprefix('file://')}\n",
    )


def _build(package: StandIn, folder: Path) -> str:
    tree = folder / f"{package.name}_{package.version}"
    control = (
        f"Package: {package.name}\nVersion: {package.version}\nArchitecture: amd64\n"
        f"Maintainer: nobody <nobody@invalid>\nDescription: {STAND_IN}\n"
        + (f"Depends: {package.depends}\n" if package.depends else "")
        + "".join(f"{name}: {value}\n" for name, value in package.relations.items())
    )
    (tree / "DEBIAN").mkdir(parents=True)
    (tree / "DEBIAN" / "control").write_text(control)
    scripts = {f"DEBIAN/{name}": content for name, content in package.scripts.items()}
    for path, content in (*package.files.items(), *scripts.items()):
        file = tree / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        file.chmod(0o755)
    for each in (tree, *tree.rglob("*")):
        if each.is_dir():
            each.chmod(0o755)
    deb = folder / f"{package.name}_{package.version}_amd64.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "-b", str(tree), str(deb)], check=True, capture_output=True
    )
    built = deb.read_bytes()
    return f"{control}Filename: ./{deb.name}\nSize: {len(built)}\nSHA256: {_sha256(built)}\n"


def _sign(folder: Path) -> str:
    """Sign Release with a key that nobody keeps; returns its fingerprint."""
    home = folder / "gpg"
    home.mkdir(mode=0o700)
    gpg = [
        "gpg",
        "--batch",
        "--quiet",
        "--homedir",
        str(home),
        "--passphrase",
        "",
        "--pinentry-mode",
        "loopback",
    ]
    try:
        _run([*gpg, "--quick-generate-key", "stand-in <nobody@invalid>", "ed25519", "sign", "never"])
        _run([*gpg, "--clearsign", "-o", str(folder / "InRelease"), str(folder / "Release")])
        (folder / "key.asc").write_text(_run([*gpg, "--armor", "--export"]))
        listed = _run([*gpg, "--with-colons", "--list-keys"])
    finally:
        subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)
    return next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr:"))


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# What nvidia-ctk would write of the cards that nvidia-smi lists, by UUID, with the library of the loaded driver.
NVIDIA_CTK = r"""#!/bin/sh
# STAND-IN for nvidia-ctk: `cdi generate --device-name-strategy=uuid --output=FILE` alone.
[ "$1 $2 $3" = "cdi generate --device-name-strategy=uuid" ] || { echo "stand-in: cannot $*" >&2; exit 2; }
version=$(grep -oE '[0-9]{3}\.[0-9.]+' /proc/driver/nvidia/version | head -n 1)
{
  printf 'cdiVersion: 0.5.0\nkind: nvidia.com/gpu\ndevices:\n'
  n=0
  for uuid in $(nvidia-smi -L | grep -oE 'GPU-[0-9a-f-]+'); do
    printf -- '- name: %s\n  containerEdits:\n    env: [SIMULATED_GPU=%s]\n' "$uuid" "$uuid"; n=$((n + 1))
  done
  printf -- '- name: all\n  containerEdits:\n    env: [SIMULATED_GPU=all]\n'
  printf 'containerEdits:\n  env: [LIBRARY=libcuda.so.%s]\n' "$version"
} >"${4#--output=}"
"""
TOOLKIT = StandIn("nvidia-container-toolkit-base", "1.18.0-1", {"usr/bin/nvidia-ctk": NVIDIA_CTK})
