"""`labctl place --html`: a page that loads nothing, runs nothing, and shows what the text says."""

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tests.labctl.cli.fit_command import Command

EVIL = "<script>alert(1)</script>"
WORKLOADS = """\
workloads:
  chat: {service: container, image: "%s", vram_mib: 4000, gpus: {models: [rtx-3060]}}
  nas: {service: nextcloud}
"""
RIG = """\
name: rig
hosts:
  - name: box
    gpus:
      - {model: rtx-3060}
      - {model: "Card <script>", compute_capability: "8.6", board_memory_mib: 12288, memory_mib: 11900}
    ram_gib: 32
"""
VOID = {"meta", "br", "hr", "img", "link", "input"}


class Elements(HTMLParser):
    """Every element with its attributes; what is left open or closed twice is an error."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, str]:
    workloads, rig = tmp_path / "workloads.yaml", tmp_path / "rig.yaml"
    workloads.write_text(WORKLOADS % f"docker.io/library/{EVIL}")
    rig.write_text(RIG)
    return str(workloads), str(rig)


def test_the_page_is_written_and_said_to_be(place: Command, files: tuple[str, str], tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    said = place(files[0], "--rig", files[1], "--html", str(page))
    assert said.code == 0
    assert said.out.startswith("Yes: all 2 of")
    assert said.err == f"The page is in {page}.\n"
    assert page.read_text().startswith("<!doctype html>\n")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["plan.html", "rig.yaml", "workloads.yaml"]


def test_with_json_stdout_is_the_document_alone(
    place: Command, files: tuple[str, str], tmp_path: Path
) -> None:
    said = place(files[0], "--rig", files[1], "--html", str(tmp_path / "plan.html"), "--json")
    assert said.document["optimal"] is True
    assert (tmp_path / "plan.html").exists()


def test_names_are_text_and_no_markup(place: Command, files: tuple[str, str], tmp_path: Path) -> None:
    page = tmp_path / "plan.html"
    place(files[0], "--rig", files[1], "--html", str(page))
    text = page.read_text()
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "Card &lt;script&gt;" in text


def test_it_asks_for_nothing_and_closes_what_it_opens(
    place: Command, files: tuple[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "plan.html"
    place(files[0], "--rig", files[1], "--html", str(page))
    text = page.read_text()
    elements = Elements(text).found
    tags = Counter(tag for tag, _ in elements)
    assert not tags.keys() & {"script", "link", "img", "iframe", "object", "form", "a"}
    assert not any(
        name in attributes for _, attributes in elements for name in ("src", "href", "onload", "onclick")
    )
    assert not re.search(r"url\(|@import|https?:", text)
    policies = [
        each["content"] for tag, each in elements if each.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]


def test_every_picture_has_words_and_every_table_heads(
    place: Command, files: tuple[str, str], tmp_path: Path
) -> None:
    page = tmp_path / "plan.html"
    place(files[0], "--rig", files[1], "--html", str(page))
    elements = Elements(page.read_text()).found
    pictures = [each for _, each in elements if each.get("role") == "img"]
    assert [each["aria-label"] for each in pictures] == [
        "chat 3.9 GiB, free 6.7 GiB, margin 1.0 GiB",
        "free 10.6 GiB, margin 1.0 GiB",
    ]
    assert all(each.get("scope") in ("col", "row") for tag, each in elements if tag == "th")
    assert ("html", {"lang": "en"}) in elements


def test_a_page_that_cannot_be_written_is_told_before_the_answer(
    place: Command, files: tuple[str, str], tmp_path: Path
) -> None:
    missing = tmp_path / "missing" / "plan.html"
    said = place(files[0], "--rig", files[1], "--html", str(missing))
    assert (said.code, said.out) == (1, "")
    assert said.err == f"labctl: {missing}: the page cannot be written (found No such file or directory)\n"


def test_the_same_answer_is_the_same_page(place: Command, files: tuple[str, str], tmp_path: Path) -> None:
    pages = [tmp_path / "one.html", tmp_path / "two.html"]
    for page in pages:
        place(files[0], "--rig", files[1], "--html", str(page))
    assert pages[0].read_bytes() == pages[1].read_bytes()
