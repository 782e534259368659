"""The page of `labctl place --html` in a real browser: to scale, within every screen, read with and without light."""

import re
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from labctl.__main__ import run
from tests.browser.chromium import Chromium, Screen, browser
from tests.browser.png import Colour, read

pytestmark = pytest.mark.host  # `make host-packages` installs the browser, as root

CASES = Path(__file__).parents[1] / "cases" / "place_text"
QUESTIONS = {path.name: (path / "question.txt").read_text().split() for path in sorted(CASES.iterdir())} | {
    rig.stem: ["workloads/home.yaml", "--rig", str(rig)]
    for rig in (Path("workloads/rigs/seven-gpu-epyc.yaml"), Path("workloads/rigs/dgx-spark.yaml"))
}
SCREENS = [Screen(390), Screen(390, "dark"), Screen(1280), Screen(1280, "dark")]
# Each box of each bar as the browser laid it out, with what its title says it is.
BOXES = """[...document.querySelectorAll('.bar')].map(bar => ({
  kind: bar.className, left: bar.getBoundingClientRect().left, width: bar.getBoundingClientRect().width,
  top: bar.getBoundingClientRect().top + scrollY,
  boxes: [...bar.children].map(box => {
    const at = box.getBoundingClientRect();
    const edge = getComputedStyle(box).borderTopColor;
    const shown = [...box.children].filter(label => label.getBoundingClientRect().top < at.bottom - 2);
    return {title: box.title, look: box.className, left: at.left, width: at.width, edge,
            words: shown.map(label => label.textContent),
            cut: shown.some(label => label.getBoundingClientRect().right > at.right + .5)};
  })}))"""

# Every text with its colour, and the colour of the nearest element behind it that has one.
TEXTS = """[...document.querySelectorAll('h1, h1 strong, h2, h2 small, h3, h3 span, p, li, th, td, b, i, footer')]
  .filter(text => text.textContent.trim()).map(text => {
    const paper = each => getComputedStyle(each).backgroundColor;
    let behind = text;
    while (/, 0\\)$|transparent/.test(paper(behind))) behind = behind.parentElement;
    return {text: text.textContent.trim().slice(0, 40), ink: getComputedStyle(text).color, paper: paper(behind)};
  })"""


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    with browser(tmp_path_factory.mktemp("browser")) as found:
        yield found


class Pages(dict[str, Path]):
    """The page of each question, made when it is first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Path:
        self[name] = self._folder / f"{name}.html"
        assert run(["place", *QUESTIONS[name], "--html", str(self[name])]) in (0, 3)
        return self[name]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    return Pages(tmp_path_factory.mktemp("pages"))


def amount(title: str) -> float:
    """GiB or watts of a box; of `llama 20.5 of 82.0 GiB` the first."""
    found = re.search(r" ([\d.]+)(?: of [\d.]+)? (?:GiB|W)$", title)
    assert found, title
    return float(found[1])


def rgb(css: str) -> Colour:
    red, green, blue = (int(each) for each in re.findall(r"\d+", css)[:3])
    return red, green, blue


def contrast(one: Colour, other: Colour) -> float:
    """As WCAG 2 counts it: https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio."""

    def luminance(colour: Colour) -> float:
        linear = [c / 255 / 12.92 if c <= 10 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


@pytest.fixture(params=SCREENS, ids=lambda screen: f"{screen.width}-{screen.scheme}")
def screen(request: pytest.FixtureRequest) -> Screen:
    found: Screen = request.param
    return found


@pytest.mark.parametrize("name", QUESTIONS)
def test_blocks_are_to_scale_and_nothing_is_wider_than_the_screen(
    name: str, screen: Screen, chromium: Chromium, pages: Pages
) -> None:
    chromium.show(pages[name], screen)
    assert chromium.value("document.documentElement.scrollWidth") == screen.width
    bars: list[dict[str, Any]] = chromium.value(BOXES)
    for bar in bars:
        whole = sum(amount(box["title"]) for box in bar["boxes"])
        for box in bar["boxes"]:
            # Titles have one decimal; each is off by half of it, and so is their sum.
            slack = bar["width"] * 0.05 * (len(bar["boxes"]) + 1) / whole + 2.5
            assert abs(box["width"] - bar["width"] * amount(box["title"]) / whole) <= slack, box
            assert not box["cut"], box
        for one, other in pairwise(bar["boxes"]):
            assert abs(one["left"] + one["width"] - other["left"]) < 0.1
        assert bar["left"] >= 0
        assert bar["left"] + bar["width"] <= screen.width
        # A wide block has its name in it.
        assert all(box["words"] for box in bar["boxes"] if box["width"] > 160), bar
    assert chromium.failures == []


@pytest.mark.parametrize("name", ["busy-desk", "home-yes", "many-cards"])
def test_pixels_are_the_picture(name: str, screen: Screen, chromium: Chromium, pages: Pages) -> None:
    """Along the solid edge of every bar: each block's colour, for as many pixels as its share."""
    chromium.show(pages[name], screen)
    # Across the bars of watts goes the line where the power supply ends.
    bars = [bar for bar in chromium.value(BOXES) if "watts" not in bar["kind"]]
    assert len(bars) > 1
    for bar in bars:
        line = round(bar["left"]), round(bar["top"]) + 3, round(bar["width"]), 1
        found = read(chromium.picture(*line)).runs(0, 0, round(bar["width"]))
        for box in bar["boxes"]:
            # A block of a few pixels may be all edges and have no colour of its own.
            if box["width"] > 6:
                colour, length = _at(found, box["left"] - bar["left"] + box["width"] / 2)
                assert colour == rgb(box["edge"]), box
                assert abs(length - box["width"]) <= 3, box


def _at(runs: list[tuple[Colour, int]], x: float) -> tuple[Colour, int]:
    """The run of one colour that goes through x."""
    end = 0
    for colour, length in runs:
        end += length
        if x < end:
            return colour, length
    raise AssertionError(x)


def test_words_stand_out_in_light_and_in_the_dark(screen: Screen, chromium: Chromium, pages: Pages) -> None:
    """Every text against what is behind it, 4.5 to 1 as WCAG 2 wants."""
    chromium.show(pages["busy-desk"], screen)
    texts = chromium.value(TEXTS)
    assert len(texts) > 40
    weak = [each for each in texts if contrast(rgb(each["ink"]), rgb(each["paper"])) < 4.5]
    assert weak == []


def test_it_prints(chromium: Chromium, pages: Pages) -> None:
    chromium.show(pages["home-no"], Screen(1280, "dark"))
    assert chromium.print_pages().startswith(b"%PDF-")


def test_markup_in_a_name_does_not_run(chromium: Chromium, tmp_path: Path) -> None:
    workloads = tmp_path / "workloads.yaml"
    evil = "<img src=x onerror=document.title=1><script>document.title=1</script>"
    workloads.write_text(f'workloads:\n  chat: {{service: container, image: "{evil}", vram_mib: 4000}}\n')
    page = tmp_path / "page.html"
    assert run(["place", str(workloads), "--rig", "workloads/rigs/dual-3090.yaml", "--html", str(page)]) == 0
    chromium.show(page, Screen(1280))
    assert chromium.value("document.title").startswith("Yes: ")
    assert evil in chromium.value("document.querySelector('tbody').textContent")
    assert chromium.value("document.querySelectorAll('script, img').length") == 0
    assert chromium.failures == []


def test_a_wrong_width_would_be_seen(chromium: Chromium, pages: Pages, tmp_path: Path) -> None:
    """The checks above can fail: one block made wider than its share, and a line wider than a telephone."""
    planted = tmp_path / "planted.html"
    text = pages["home-yes"].read_text()
    planted.write_text(text.replace("<footer", '<div style="width:500px">wide</div><footer'))
    chromium.show(planted, Screen(390))
    assert chromium.value("document.documentElement.scrollWidth") > 390
    planted.write_text(re.sub(r'(class="box p0" style="width:)[\d.]+', r"\g<1>30", text, count=1))
    chromium.show(planted, Screen(1280))
    first = chromium.value(BOXES)[0]
    whole = sum(amount(box["title"]) for box in first["boxes"])
    errors = [abs(box["width"] / first["width"] - amount(box["title"]) / whole) for box in first["boxes"]]
    assert max(errors) > 0.05


if __name__ == "__main__":
    # `python -m tests.browser.test_place_page FOLDER` leaves the pictures there for a person to look at.
    folder = Path(sys.argv[1])
    with browser(folder / "browser") as tab:
        for case, question in QUESTIONS.items():
            run(["place", *question, "--html", str(folder / f"{case}.html")])
            for each in SCREENS:
                tab.show(folder / f"{case}.html", each)
                (folder / f"{case}-{each.width}-{each.scheme}.png").write_bytes(tab.picture())
