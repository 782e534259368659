"""What the demo prints, without a host: its lines, its summary, and the placement alone for those without root."""

import os
import re
import sys

import pytest

from labctl.errors import FAILED
from tests.host import demo
from tests.host.demo_host import image_lines
from tests.host.demo_output import INTRODUCTION, Told, step, summary
from tests.host.llama_service import Answer
from tests.host.service_images import ServiceImage
from tests.host.service_shapes import SHAPES

_SAID = "se ymnctxx tc lfxdtlnxounycd mnopmrlpdaooytcfwyyhabxwqzt se ymnctxx tc lfx " * 2


def test_what_is_said_during_a_step_has_a_line_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    with step("boot") as line:
        print("building the base image", file=sys.stderr)
        line.result = "Debian 13"
    first, aside, again = capsys.readouterr().out.splitlines()
    assert (first.strip(), aside.strip()) == ("boot", "building the base image")
    assert re.fullmatch(r"  boot +Debian 13 +0\.\d s", again)


def test_what_is_said_during_a_step_is_no_wider_than_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    said = "tests.host: building the image docker.io/miniflux/miniflux:2.2.6 from Debian trixie (once)"
    with step("images"):
        print(said, file=sys.stderr)
        print("and another", file=sys.stderr)
    lines = capsys.readouterr().out.splitlines()
    assert all(len(line) <= 80 for line in lines), lines
    assert " ".join(" ".join(lines[1:-1]).split()) == f"{said} and another"


def test_without_root_it_ends_with_the_placement_and_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert demo.main() == FAILED
    printed = capsys.readouterr()
    assert printed.out.startswith(f"$ labctl place workloads/demo.yaml --rig {demo.RIG}\nYes: all 2 of ")
    # On both cards, for one alone is too small.
    assert re.search(r"^chat +aibox/0, 1 ", printed.out, re.MULTILINE)
    assert "needs root: sudo make demo" in printed.err
    assert all(len(line) <= 80 for line in (printed.out + printed.err).splitlines())


def test_the_summary_has_the_picture_and_the_talk_in_80_columns() -> None:
    answer = Answer(_SAID, 48, "chat", 1, "b11669-Debian")
    text = summary(Told("the picture\n", answer), 123.4)
    assert all(len(line) <= 80 for line in (INTRODUCTION + text).splitlines())
    assert text.startswith("\nthe picture\n")
    assert set(_SAID.split()) <= set(text.split())
    assert "48 real tokens of llama.cpp b11669-Debian" in text
    assert "123 s" in text


def test_every_image_of_the_demo_is_said_to_be_of_packages_or_a_stand_in() -> None:
    images = {
        name: ServiceImage(name, "1", "sha256:0", "packages" if shape.tree else "stand-in")
        for name, shape in SHAPES.items()
    }
    lines = image_lines(images)
    assert [line.partition(":")[0].rpartition("/")[2] for line in lines] == [
        "postgres",
        "miniflux",
        "llama.cpp",
    ]
    assert all(len(line) <= 76 and line.endswith("is of Debian's packages") for line in lines)
