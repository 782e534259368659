"""Writes catalog/driver/pci_ids.yaml, the PCI ids of NVIDIA's cards, from the two lists that name them.

    python -m tests.labctl.driver.pci_ids_file PCI_IDS README > labctl/catalog/driver/pci_ids.yaml

PCI_IDS: `pci.ids` of https://github.com/pciutils/pciids. README: of https://github.com/NVIDIA/open-gpu-kernel-modules.
Both name products; which card of the catalogue that is, is decided here once, and read by people in the diff.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from labctl.driver.pci_ids import GENERATIONS, OLDER
from labctl.edges import catalog
from labctl.rig.gpu import Gpu, plain_name

# What neither list names as the catalogue does: H100 NVL and M40 24 GB share a name with another board, the Quadro RTX
# 8000 its id with the 6000 (the subsystem tells them apart), and of T1000 and T400 only the mobile chip is named.
BY_HAND = {
    "15f9": ["tesla-p100-sxm2"],
    "17fd": ["tesla-m40", "tesla-m40-24gb"],
    "1e30": ["quadro-rtx-6000", "quadro-rtx-8000"],
    "1e78": ["quadro-rtx-6000", "quadro-rtx-8000"],
    "1fb0": ["t1000"],
    "1fb2": ["t400"],
    "1ff2": ["t400"],
    "2321": ["h100-nvl-94gb"],
    "2331": ["h100-pcie-80gb"],
    "28b0": ["rtx-2000-ada"],
}
_CHIP = re.compile(r"^([0-9a-f]{4})  ((?:G[FKMPVAHBT8-9]|TU|AD|NV|C5)[0-9A-Zx]+[0-9a-zA-Z]*)(?: \[(.*)\])?$")
_OPEN = re.compile(r"^\| (.*?) +\| ([0-9A-F]{4})(?: [0-9A-F]{4}){0,2} +\|", re.MULTILINE)
_MOBILE = re.compile(r"(M|BM|GLM)$")
_WIDTH = 19  # ids on a line


def nvidia_lines(pci_ids: str) -> Iterator[str]:
    """The devices of vendor 10de, one a line, as `2204  GA102 [GeForce RTX 3090]`."""
    inside = False
    for line in pci_ids.splitlines():
        if re.match(r"[0-9a-f]{4} ", line):
            inside = line.startswith("10de ")
        elif inside and re.match(r"\t[0-9a-f]{4} ", line):
            yield line.strip()


def plain(name: str) -> str:
    return re.sub(r" (\d+) ?gb$", r" \1gb", plain_name(name))


def sizeless(name: str) -> str:
    return re.sub(r" \d+gb$", "", plain(name))


def named(names: set[str], cards: tuple[Gpu, ...]) -> list[str]:
    """The catalogue's cards that go by one of these names; by the name without a size where the list gives none."""
    exact = [
        card.name
        for card in cards
        if names & {plain(each) for each in (card.name, card.title, *card.aliases)}
    ]
    if exact:
        return exact
    without = {name for name in names if sizeless(name) == name}
    return [card.name for card in cards if sizeless(card.title) in without]


def main() -> None:
    pci_ids = Path(sys.argv[1]).read_text(encoding="utf-8")
    readme = Path(sys.argv[2]).read_text(encoding="utf-8")
    titles: dict[str, set[str]] = {}
    generations: dict[str, str] = {}
    mobile = set()
    for line in nvidia_lines(pci_ids):
        if found := _CHIP.match(line):
            device, chip, title = found.groups()
            generations[device] = GENERATIONS.get(chip[:2], OLDER)
            titles[device] = {plain(part) for part in (title or "").split(" / ") if part}
            if _MOBILE.search(chip):
                mobile.add(device)
    open_titles: dict[str, set[str]] = {}
    for title, device in _OPEN.findall(readme):
        open_titles.setdefault(device.lower(), set()).add(plain(title))
    cards = {}
    for device in (titles.keys() | open_titles.keys()) - mobile:
        # An early name may have gone to two chips: the GTX 750 Ti of some complete systems is a Kepler.
        same = tuple(card for card in catalog.gpus() if generations.get(device) in (card.architecture, None))
        cards[device] = named(titles.get(device, set()), same) or named(open_titles.get(device, set()), same)
    cards |= BY_HAND
    version = re.search(r"Version: (\S+)", pci_ids)
    driver = re.search(r"version (\d[\d.]+)\.", readme)
    print(
        "# PCI device ids (vendor 10de) of the catalogue's cards, and the generation of every chip that is listed."
    )
    print("# Written by tests/labctl/driver/pci_ids_file.py; two cards on a line share an id.")
    print("sources:")
    print(f"  - pci.ids {version[1] if version else '?'}, https://github.com/pciutils/pciids")
    release = driver[1] if driver else "?"
    print(f"  - README of {release}, https://github.com/NVIDIA/open-gpu-kernel-modules, Compatible GPUs")
    print("cards:")
    for device in sorted(cards):
        if cards[device]:
            print(f'  "{device}": [{", ".join(cards[device])}]')
    print("generations:")
    for generation in dict.fromkeys([*GENERATIONS.values(), OLDER]):
        ids = sorted(device for device, of in generations.items() if of == generation)
        print(f"  {generation}: >-")
        for start in range(0, len(ids), _WIDTH):
            print("    " + " ".join(ids[start : start + _WIDTH]))


if __name__ == "__main__":
    main()
