"""What the demo says about its container image, without building one."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from tests.host.llama_image import LlamaImage, image_tag, package_version


def test_the_version_is_the_newest_in_the_changelog(tmp_path: Path) -> None:
    changelog = gzip.compress(
        b"llama.cpp (1:0.7.0+dfsg-2) unstable; urgency=medium\n\nllama.cpp (1:0.6.9-1) unstable\n"
    )
    tarball = tmp_path / "image.tar"
    with tarfile.open(tarball, "w") as image:
        member = tarfile.TarInfo("./usr/share/doc/llama.cpp/changelog.Debian.gz")
        member.size = len(changelog)
        image.addfile(member, io.BytesIO(changelog))
    assert package_version(tarball) == "1:0.7.0+dfsg-2"


@pytest.mark.parametrize(
    ("version", "tag"),
    [
        ("1:0.7.0+dfsg-2", "1-0.7.0-dfsg-2"),
        ("11669+dfsg-1~exp1", "11669-dfsg-1-exp1"),
        ("5882_1.0-1", "5882_1.0-1"),
    ],
)
def test_a_package_version_becomes_a_tag(version: str, tag: str) -> None:
    assert image_tag(version) == tag
    assert LlamaImage(Path("x.tar"), version, was_cached=True).name == f"localhost/labctl/llama-server:{tag}"
