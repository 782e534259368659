"""An image for every container of the catalogue, without a registry to reach: of Debian's packages, or a stand-in.

Names, tags, users, ports, volumes and what is answered where are the catalogue's. The digests are these images' own:
a catalogue that pins the true ones wants `write_checkout`.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from labctl.edges import catalog
from labctl.workloads.container import Container, Image
from labctl.workloads.service import Service
from tests.host import oci_store, package_tree, service_shapes, stand_in_services
from tests.host.cache import Cache
from tests.host.cached_folder import CachedFolder, hold
from tests.host.deploying import CHECKOUT
from tests.host.oci_store import Configuration, Entry, Store, Stored, files_layer, write_beyond
from tests.host.package_tree import PackageTree
from tests.host.service_shapes import ANYTHING, ANYTHING_TAG, BASE, PLAIN, SHAPES, TREES, Shape

Kind = Literal["packages", "pypi", "stand-in"]
IMAGES = "images.json"
"""The file of a store with a row for each."""
_REFRESH_AFTER_DAYS = 30
_PROGRAMS = Path(str(stand_in_services.__file__)).parent
_IN_IMAGE = "usr/local/lib/stand-in"
_RUN = "/usr/local/bin/stand-in"
_RUN_TEXT = f"""#!/bin/sh
export PYTHONPATH=/{_IN_IMAGE} PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m tests.host.stand_in_services "$@"
"""
_PASSWD = """root:x:0:0:root:/root:/bin/sh
www-data:x:33:33::/var/www:/bin/sh
postgres:x:999:999::/var/lib/postgresql:/bin/sh
ubuntu:x:1000:1000::/home/ubuntu:/bin/sh
vllm:x:2000:0::/home/vllm:/bin/sh
nobody:x:65534:65534::/:/bin/sh
"""
_GROUP = "root:x:0:\nwww-data:x:33:\npostgres:x:999:\nubuntu:x:1000:\nnogroup:x:65534:\n"
_MADE_OF: Mapping[Kind, str] = {
    "packages": "of Debian's packages",
    "pypi": "of PyPI's wheels",
    "stand-in": "a STAND-IN",
}
_ADDRESS = re.compile(r"http://[^/']+(/[^'\"]*)")


@dataclass(frozen=True)
class ServiceImage:
    """One image in the store. kind: what its program is."""

    name: str
    tag: str
    digest: str
    kind: Kind

    @property
    def line(self) -> str:
        """For people."""
        return f"{self.name}:{self.tag} is {_MADE_OF[self.kind]}"


@dataclass(frozen=True)
class ServiceImages:
    """folder: a store for `registry_server.py`, in use until `held` is released. images: by name."""

    folder: Path
    images: Mapping[str, ServiceImage]
    held: CachedFolder


def service_images(cache: Cache) -> ServiceImages:
    """Images of every service, built when one is missing or a recipe or the catalogue has changed.

    About a minute with nothing in the cache; seconds when only a stand-in's program has changed. Raises `Failed` when
    packages cannot be had.
    """
    return kept_images(cache, "registry", _recipe(), lambda made: _build(cache, made), _REFRESH_AFTER_DAYS)


def kept_images(
    cache: Cache, family: str, recipe: str, build: Callable[[Path], None], refresh_after_days: float
) -> ServiceImages:
    """The store of this family in the cache. build: makes one in an empty folder; raises what that raises."""
    folder = cache.root / "images"
    folder.mkdir(exist_ok=True)
    held = hold(folder, family, recipe, build, refresh_after_days=refresh_after_days)
    rows = json.loads((held.path / IMAGES).read_text())
    return ServiceImages(held.path, {row["name"]: ServiceImage(**row) for row in rows}, held)


def write_checkout(folder: Path, images: Mapping[str, ServiceImage]) -> Path:
    """Copy this checkout's programs with a catalogue that pins the digests of these images; returns where.

    Podman verifies digests, and nothing of labctl's is to look away: so it is told those of the stand-ins.
    """
    for name in ("labctl", "roles", "deploy"):
        shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for service in catalog.services():
        file = folder / "labctl" / "catalog" / "services" / f"{service.name}.yaml"
        text = file.read_text()
        for image in _pinned(service):
            text = text.replace(str(image.digest), images[image.name].digest)
        file.write_text(text)
    return folder


def _pinned(service: Service) -> Iterator[Image]:
    for container in service.containers:
        if container.image and container.image.digest:
            yield container.image


def _recipe() -> str:
    """Changes when an image would come out different."""
    files = [Path(str(each.__file__)) for each in (oci_store, service_shapes, package_tree)]
    files += [Path(__file__), *sorted(_PROGRAMS.glob("*.py"))]
    of_catalogue = repr(list(wanted())).encode()
    return hashlib.sha256(b"".join(file.read_bytes() for file in files) + of_catalogue).hexdigest()[:10]


def _build(cache: Cache, folder: Path) -> None:
    store = Store(folder)
    trees = _layers(cache, store, folder)
    programs = store.put(files_layer(_programs()))
    rows = []
    for image, about, configuration in wanted():
        shape = SHAPES.get(image.name, PLAIN)
        below = (*trees[BASE], programs) if shape.tree is None else trees[shape.tree]
        layers = (*below, store.put(files_layer(_files(shape, about))))
        digest = store.put_image(image.name, image.tag, layers, configuration)
        kind = "stand-in" if shape.tree is None else "packages"
        rows.append({"name": image.name, "tag": image.tag, "digest": digest, "kind": kind})
    (folder / IMAGES).write_text(json.dumps(rows))


def _layers(cache: Cache, store: Store, folder: Path) -> dict[PackageTree, tuple[Stored, ...]]:
    """Of each tree; those of one suite share the base."""
    found: dict[PackageTree, tuple[Stored, ...]] = {}
    base = package_tree.package_tree(cache, BASE).tarball
    for tree in TREES:
        tarball, layer = package_tree.package_tree(cache, tree).tarball, folder / f"{tree.name}.tar"
        if tree is BASE or tree.suite != BASE.suite:
            layer.hardlink_to(tarball)
            found[tree] = (store.put_layer(layer),)
        else:
            write_beyond(tarball, base, layer)
            found[tree] = (*found[BASE], store.put_layer(layer))
    return found


def _programs() -> Iterator[Entry]:
    for file in sorted(_PROGRAMS.glob("*.py")):
        yield Entry(f"{_IN_IMAGE}/tests/host/{_PROGRAMS.name}/{file.name}", file.read_text(), 0o644)
    yield Entry(_RUN, _RUN_TEXT)


def _files(shape: Shape, about: Mapping[str, Any]) -> Iterator[Entry]:
    """The layer of one image."""
    yield from plain_files(shape.folder)
    # Where packages' own scripts would have made them.
    yield Entry("var/run/postgresql", None, 0o3777, (999, 999))
    for path, text in shape.files.items():
        yield Entry(path, text)
    if shape.tree is None:
        yield Entry("etc/stand-in.json", json.dumps(about), 0o644)
    for path in shape.starts:
        yield Entry(path, f'#!/bin/sh\nexec {_RUN} {path} "$@"\n')


def plain_files(folder: str) -> Iterator[Entry]:
    """Users and their homes, and the folder that it starts in."""
    yield Entry("etc/passwd", _PASSWD, 0o644)
    yield Entry("etc/group", _GROUP, 0o644)
    yield Entry("tmp", None, 0o1777)
    yield Entry("home/ubuntu", None, 0o755, (1000, 1000))
    yield Entry("home/vllm", None, 0o775, (2000, 0))
    if folder:
        yield Entry(folder)


def wanted() -> Iterator[tuple[Image, dict[str, Any], Configuration]]:
    """Every image of the catalogue once, what a stand-in for it is told, and how it runs by itself."""
    seen: set[str] = set()
    for service in catalog.services():
        for container in service.containers:
            image = container.image or Image(name=ANYTHING, tag=ANYTHING_TAG, user="0:0")
            if image.name not in seen:
                seen.add(image.name)
                kind: Kind = "stand-in" if SHAPES.get(image.name, PLAIN).tree is None else "packages"
                yield image, _about(service, container, image), configuration(container, image, kind)


def configuration(container: Container, image: Image, kind: Kind) -> Configuration:
    """How the image of a container runs by itself."""
    shape = SHAPES.get(image.name, PLAIN)
    return Configuration(
        user=image.user,
        entrypoint=shape.entrypoint,
        command=shape.command,
        environment=shape.environment,
        ports=tuple(f"{port.container}/{port.protocol}" for port in container.ports),
        volumes=image.volumes,
        folder=shape.folder,
        stop_signal=shape.stop_signal,
        labels={"labctl.test-image": kind},
    )


def _about(service: Service, container: Container, image: Image) -> dict[str, Any]:
    shape = SHAPES.get(image.name, PLAIN)
    answers: dict[str, str] = {}
    for word in container.health.command if container.health else ():
        answers |= dict.fromkeys(_ADDRESS.findall(word), "well, says a stand-in")
    for port in container.ports:
        if port.answers:
            answers[port.answers.path] = f"{port.answers.says} (a stand-in)"
    return {
        "image": f"{image.name}:{image.tag}",
        "program": shape.program,
        "port": container.ports[0].container if container.ports else None,
        "answers": answers,
        "asks": [consumer.variable for consumer in service.uses],
        "needs_card": service.gpu.use == "required" and container is service.first,
        "writes": []
        if shape.writes_itself
        else [each.at for each in container.volumes if each.keeps != "models"],
    }
