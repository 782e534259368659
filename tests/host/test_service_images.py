"""Images of services without a registry: what is in them, how they are served, and what a stand-in refuses."""

import io
import json
import subprocess
import tarfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from labctl.edges import catalog
from tests.host import registry_server, service_images, stand_in_services
from tests.host.deploying import CHECKOUT
from tests.host.image_registry import CRUN_TEXT
from tests.host.oci_store import Configuration, Entry, Store, files_layer, write_beyond
from tests.host.registry_server import Handler
from tests.host.service_images import ServiceImage, write_checkout
from tests.host.service_shapes import SHAPES
from tests.host.stand_in_services import nextcloud, ollama, service, vllm

NAME = "registry.example/some/thing"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    handler = type("Handler", (Handler,), {"store": tmp_path / "store", "log_message": lambda *_: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v2/{NAME}"
    server.shutdown()
    thread.join()
    server.server_close()


def _get(url: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(url, timeout=10) as reply:
        return reply.read(), reply.headers["Docker-Content-Digest"]


def test_an_image_is_served_by_tag_and_by_digest_with_all_it_refers_to(store: Store, served: str) -> None:
    layer = store.put(files_layer([Entry("etc/hello", "hello\n", 0o644, (33, 33))]))
    how = Configuration(user="33:33", ports=("80/tcp",), volumes=("/data",), entrypoint=("/init",))
    digest = store.put_image(NAME, "1.2", [layer], how)
    by_tag, by_digest = _get(f"{served}/manifests/1.2"), _get(f"{served}/manifests/{digest}")
    assert by_tag == by_digest == (by_tag[0], digest)
    manifest = json.loads(by_tag[0])
    config = json.loads(_get(f"{served}/blobs/{manifest['config']['digest']}")[0])
    assert config["rootfs"]["diff_ids"] == [layer.digest]
    assert config["config"] == {
        "User": "33:33",
        "Entrypoint": ["/init"],
        "ExposedPorts": {"80/tcp": {}},
        "Volumes": {"/data": {}},
    }
    with tarfile.open(fileobj=io.BytesIO(_get(f"{served}/blobs/{layer.digest}")[0])) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mode, member.uid) == ("etc/hello", 0o644, 33)


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("manifests/2.0", "MANIFEST_UNKNOWN"),
        (f"manifests/sha256:{'0' * 64}", "MANIFEST_UNKNOWN"),
        (f"blobs/sha256:{'0' * 64}", "BLOB_UNKNOWN"),
        ("../../etc/passwd", "NAME_UNKNOWN"),
    ],
)
def test_what_is_not_there_is_said_as_registries_say_it(
    store: Store, served: str, path: str, code: str
) -> None:
    store.put_image(NAME, "1.2", [], Configuration())
    with pytest.raises(urllib.error.HTTPError) as refused:
        _get(f"{served}/{path}")
    assert refused.value.code == 404
    assert json.load(refused.value)["errors"][0]["code"] == code


def test_the_name_of_another_repository_gives_no_manifest(store: Store, served: str) -> None:
    digest = store.put_image("registry.example/other", "1.2", [], Configuration())
    with pytest.raises(urllib.error.HTTPError, match="404"):
        _get(f"{served}/manifests/{digest}")


def test_a_layer_beyond_another_has_what_was_added_and_what_is_otherwise(tmp_path: Path) -> None:
    both = [Entry("usr"), Entry("usr/same", "same"), Entry("usr/mode", "x", 0o755)]
    below, whole, layer = (tmp_path / name for name in ("below.tar", "whole.tar", "layer.tar"))
    below.write_bytes(files_layer(both))
    whole.write_bytes(files_layer([*both[:2], Entry("usr/mode", "x", 0o700), Entry("usr/new", "new")]))
    write_beyond(whole, below, layer)
    with tarfile.open(layer) as tar:
        assert tar.getnames() == ["usr/mode", "usr/new"]
        new = tar.extractfile("usr/new")
        assert new is not None
        assert new.read() == b"new"


def test_every_image_of_the_catalogue_has_a_shape_and_no_shape_is_left_over() -> None:
    wanted = {image.name: (about, how) for image, about, how in service_images.wanted()}
    assert wanted.keys() == SHAPES.keys()
    for each in catalog.services():
        for container in each.containers:
            if container.image:
                about, how = wanted[container.image.name]
                assert how.user == container.image.user
                if container is each.first:
                    assert about["needs_card"] == (each.gpu.use == "required")
                    assert set(how.ports) == {f"{port.container}/{port.protocol}" for port in container.ports}
                    assert all(
                        port.answers.says in about["answers"][port.answers.path]
                        for port in container.ports
                        if port.answers
                    )


def test_the_copy_of_labctl_pins_the_digests_of_the_images_and_nothing_else(tmp_path: Path) -> None:
    images = {
        name: ServiceImage(name, "1", f"sha256:{number:064x}", "stand-in")
        for number, name in enumerate(sorted(SHAPES))
    }
    copy = write_checkout(tmp_path / "copy", images)
    for each in catalog.services():
        original = (CHECKOUT / "labctl/catalog/services" / f"{each.name}.yaml").read_text()
        copied = (copy / "labctl/catalog/services" / f"{each.name}.yaml").read_text()
        changed = [
            (was, now)
            for was, now in zip(original.splitlines(), copied.splitlines(), strict=True)
            if was != now
        ]
        pinned = [one.image for one in each.containers if one.image and one.image.digest]
        assert changed == [
            (f"      digest: {image.digest}", f"      digest: {images[image.name].digest}")
            for image in pinned
        ]


def _about(**more: Any) -> dict[str, Any]:
    return {"image": "a:1", "port": 80, "answers": {}, "writes": [], "needs_card": False, **more}


def test_a_stand_in_refuses_a_folder_that_it_cannot_write(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        service.refuse_what_the_true_one_would(_about(writes=["/nowhere"]))
    assert "STAND-IN: refused: /nowhere cannot be written as " in capsys.readouterr().out


def test_a_stand_in_refuses_to_start_without_a_card_that_it_needs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "cards", list)
    with pytest.raises(SystemExit):
        service.refuse_what_the_true_one_would(_about(needs_card=True))
    assert "refused: no card" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("program", "words", "said"),
    [
        (vllm, ["vllm", "serve"], "no model"),
        (vllm, ["vllm", "serve", "--port=8000"], "no model"),
        (vllm, ["vllm", "serve", "--served-model-name", "x", "/nowhere"], "no model"),
        (vllm, ["vllm", "serve", "/nowhere"], "no config.json"),
        (ollama, ["ollama", "pull"], "knows no pull"),
        (nextcloud, ["/entrypoint.sh", "php-fpm"], "nothing is known"),
    ],
)
def test_a_stand_in_refuses_what_it_is_not_started_for(
    program: Any, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program.run(_about(), words)
    assert said in capsys.readouterr().out


def test_the_programs_import_nothing_that_an_image_lacks() -> None:
    folder = Path(str(stand_in_services.__file__)).parent
    for file in folder.glob("*.py"):
        ours = [
            line for line in file.read_text().splitlines() if line.startswith(("from tests", "from labctl"))
        ]
        assert all(line.startswith("from tests.host.stand_in_services.") for line in ours), file.name
    assert "tests" not in Path(str(registry_server.__file__)).read_text().partition("import ")[2]


def test_a_container_is_made_without_limits_that_cannot_be_here_and_is_otherwise_the_same(
    tmp_path: Path,
) -> None:
    crun, bundle = tmp_path / "crun", tmp_path / "bundle"
    crun.write_text(CRUN_TEXT.replace("/usr/bin/crun", "echo"))
    bundle.mkdir()
    limits = ("pids", "memory", "cpu")
    asked: dict[str, Any] = {
        "process": {"user": 1, "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]},
        "linux": {"resources": {**{each: {"limit": 4096} for each in limits}, "devices": [1]}},
    }
    beyond = {"type": "RLIMIT_NOFILE", "soft": 2**62, "hard": 2**62}
    more = {**asked["process"], "rlimits": [beyond, *asked["process"]["rlimits"]]}
    (bundle / "config.json").write_text(json.dumps({**asked, "process": more}))
    words = ["create", "--bundle", str(bundle), "--pid-file", "/a b", "name"]
    done = subprocess.run(["sh", crun, *words], capture_output=True, text=True, check=True)
    assert done.stdout == " ".join(words) + "\n"
    for limit in limits:
        del asked["linux"]["resources"][limit]
    assert json.loads((bundle / "config.json").read_text()) == asked
    done = subprocess.run(["sh", crun, "kill", "name"], capture_output=True, text=True, check=True)
    assert done.stdout == "kill name\n"
