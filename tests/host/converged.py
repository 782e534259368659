"""A host that was deployed to once, as a layer that any number of hosts start from; kept while the roles stay the same.

Beyond what a deploy leaves there are, for the tests: strace, the programs in `FOLDER`, and `IMAGE`, a container image
without a program of its own. It is made of links into /usr, and containers are given the host's: no registry needed.
"""

import base64
import hashlib
import io
import tarfile
import tempfile
from pathlib import Path

from tests.host import knocking
from tests.host.deploying import CHECKOUT, labctl, write_inventory
from tests.host.disk import Layer
from tests.host.hosts import ThrowawayHosts
from tests.host.throwaway_host import ThrowawayHost

IMAGE = "localhost/labctl/links-into-usr:1"
FOLDER = "/srv/labctl-tests"
KNOCKING = f"{FOLDER}/{Path(knocking.__file__).name}"
_SOURCES = ("labctl", "roles", "deploy")
_LINKS = {"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"}
_DIRECTORIES = ("dev", "etc", "proc", "run", "srv", "sys", "tmp", "usr")


def converged_layer(hosts: ThrowawayHosts) -> Layer:
    """The layer; made by a deploy to a bare host when the roles, or this file, have changed."""
    return hosts.cached_layer("converged", digest_of_roles(Path(__file__), Path(knocking.__file__)), _prepare)


def digest_of_roles(*more: Path) -> str:
    """Changes with what a deploy does, and with the files in `more`."""
    total = hashlib.sha256()
    files = [file for folder in _SOURCES for file in (CHECKOUT / folder).rglob("*")]
    for file in sorted(file for file in files if file.suffix in (".py", ".j2")):
        total.update(f"{file.relative_to(CHECKOUT)}\0".encode() + file.read_bytes() + b"\0")
    for file in more:
        total.update(file.read_bytes())
    return total.hexdigest()


def _prepare(host: ThrowawayHost) -> None:
    with tempfile.TemporaryDirectory() as folder:
        run = labctl("deploy", write_inventory(Path(folder) / "home.py", host))
    assert run.exit_code == 0, run.stdout + run.stderr
    program = base64.b64encode(Path(knocking.__file__).read_bytes()).decode()
    image = base64.b64encode(links()).decode()
    host.console_run(
        f"set -eu; mkdir -p {FOLDER}; echo {program} | base64 -d >{KNOCKING}; "
        f"echo {image} | base64 -d | podman import --quiet - {IMAGE}; "
        "apt-get -qq -o DPkg::Lock::Timeout=60 install --no-install-recommends strace >/dev/null"
    )


def links() -> bytes:
    """The layer of `IMAGE`."""
    tarball = io.BytesIO()
    with tarfile.open(fileobj=tarball, mode="w") as tar:
        for name in _DIRECTORIES:
            directory = tarfile.TarInfo(name)
            directory.type, directory.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(directory)
        for name, target in _LINKS.items():
            link = tarfile.TarInfo(name)
            link.type, link.linkname = tarfile.SYMTYPE, target
            tar.addfile(link)
    return tarball.getvalue()
