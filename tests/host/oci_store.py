"""Container images as the OCI image specification has them, in a folder that `registry_server.py` serves.

blobs/sha256/HEX         layers (plain tar), configurations and manifests
repositories/NAME/TAG    the digest of a manifest; NAME begins with the name of the true registry
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True)
class Configuration:
    """How an image runs by itself; empty is left to Podman. user: "uid:gid". folder: where it starts."""

    user: str = ""
    entrypoint: Sequence[str] = ()
    command: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: Iterable[str] = ()
    volumes: Iterable[str] = ()
    folder: str = ""
    stop_signal: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def document(self) -> dict[str, object]:
        """As the specification has it."""
        found: dict[str, object] = {
            "User": self.user,
            "Entrypoint": list(self.entrypoint),
            "Cmd": list(self.command),
            "Env": [f"{name}={value}" for name, value in self.environment.items()],
            "ExposedPorts": {port: {} for port in self.ports},
            "Volumes": {path: {} for path in self.volumes},
            "WorkingDir": self.folder,
            "StopSignal": self.stop_signal,
            "Labels": dict(self.labels),
        }
        return {key: value for key, value in found.items() if value}


@dataclass(frozen=True)
class Stored:
    """A blob that is in a store."""

    digest: str
    size: int

    def descriptor(self, kind: str) -> dict[str, object]:
        """As manifests refer to it."""
        return {"mediaType": kind, "digest": self.digest, "size": self.size}


class Store:
    """A store in `folder`, which is made."""

    def __init__(self, folder: Path) -> None:
        self._blobs = folder / "blobs" / "sha256"
        self._repositories = folder / "repositories"
        self._blobs.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> Stored:
        """Keep a blob."""
        digest = hashlib.sha256(content).hexdigest()
        (self._blobs / digest).write_bytes(content)
        return Stored(f"sha256:{digest}", len(content))

    def put_layer(self, tarball: Path) -> Stored:
        """Keep a layer; the file is moved into the store, so it has to be on the same file system."""
        with tarball.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        stored = tarball.rename(self._blobs / digest)
        return Stored(f"sha256:{digest}", stored.stat().st_size)

    def put_image(self, name: str, tag: str, layers: Sequence[Stored], configuration: Configuration) -> str:
        """Make an image of layers, the lowest first; returns its digest. name: with its registry."""
        about = {
            "architecture": "amd64",
            "os": "linux",
            "config": configuration.document(),
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST_TYPE,
            "config": self.put(_json(about)).descriptor(_CONFIG_TYPE),
            "layers": [layer.descriptor(_LAYER_TYPE) for layer in layers],
        }
        digest = self.put(_json(manifest)).digest
        tags = self._repositories / name
        tags.mkdir(parents=True, exist_ok=True)
        (tags / tag).write_text(digest)
        return digest


@dataclass(frozen=True)
class Entry:
    """A file of a layer; without `content` a folder. owner: uid and gid."""

    path: str
    content: str | None = None
    mode: int = 0o755
    owner: tuple[int, int] = (0, 0)


def files_layer(entries: Iterable[Entry]) -> bytes:
    """A layer with these files, in this order."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for entry in entries:
            member = tarfile.TarInfo(entry.path.lstrip("/"))
            member.mode, (member.uid, member.gid) = entry.mode, entry.owner
            if entry.content is None:
                member.type = tarfile.DIRTYPE
                tar.addfile(member)
            else:
                content = entry.content.encode()
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return packed.getvalue()


def write_beyond(tarball: Path, base: Path, target: Path) -> None:
    """Write what a tarball has beyond another one of the same packages and more: a layer to put upon that."""
    with tarfile.open(base) as below:
        there = {member.name: _kind(member) for member in below}
    with tarfile.open(tarball) as whole, tarfile.open(target, "w", format=tarfile.PAX_FORMAT) as rest:
        for member in whole:
            if there.get(member.name) != _kind(member):
                rest.addfile(member, whole.extractfile(member) if member.isreg() else None)


def _kind(member: tarfile.TarInfo) -> tuple[object, ...]:
    """What is the same in two trees of the same packages."""
    return member.type, member.size, member.mode, member.linkname


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()
