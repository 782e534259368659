"""The survey, and the reading of what hosts print for it. A case: NAME.txt, and in NAME.out what a person is told.

The texts are put together from what the programs print, named in the files; none is of a machine of somebody's.
"""

import subprocess
from pathlib import Path

import pytest

from labctl.cli.preflight_text import WIDTH, preflight_text
from labctl.driver import report
from labctl.driver.decision import Request
from labctl.driver.survey import SCRIPT
from labctl.edges.preflights import decide
from labctl.errors import Failed
from tests.house_rules.tree import ROOT

FOLDER = ROOT / "tests" / "cases" / "preflight"
CASES = sorted(FOLDER.glob("*.txt"))


def shown(path: Path) -> str:
    """A host named `…-distribution` asks for the distribution's own driver."""
    request = Request(source="distribution" if path.stem.endswith("-distribution") else None)
    return preflight_text((decide(report.parse(path.read_text(encoding="utf-8")), request),))


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_host_is_told_what_it_gets(path: Path) -> None:
    text = shown(path)
    assert text == path.with_suffix(".out").read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= WIDTH


def test_every_case_has_an_answer() -> None:
    assert {path.stem for path in CASES} == {path.stem for path in FOLDER.glob("*.out")}
    assert len(CASES) >= 10


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_half_an_answer_is_no_answer(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    with pytest.raises(Failed, match="did not finish"):
        report.parse(text[: text.index("@@labctl end")])


def test_the_survey_runs_anywhere_and_ends() -> None:
    ran = subprocess.run(["sh", "-c", SCRIPT], capture_output=True, text=True, check=True)
    found = report.parse(ran.stdout)
    assert found.running.release
    assert found.root_free_mib


def changed(old: str, new: str, name: str = "debian13-two-3090-fresh") -> str:
    text = (FOLDER / f"{name}.txt").read_text(encoding="utf-8")
    assert old in text
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("said", "enabled", "enrolled"),
    [
        ("SecureBoot enabled", True, False),
        ("SecureBoot enabled\nSecureBoot validation is disabled in shim", False, False),
        ("SecureBoot disabled", False, False),
        ("SecureBoot disabled\nPlatform is in Setup Mode", False, False),
        ("EFI variables are not supported on this system", False, False),
        ("sh: 1: mokutil: not found\nefivar    1\nefi", True, False),
        ("sh: 1: mokutil: not found\nefivar    0\nefi", False, False),
        ("sh: 1: mokutil: not found\nefi", None, False),
        ("SecureBoot enabled\nkey /k.pub /k.pub is already enrolled", True, True),
        ("SecureBoot enabled\nkey /k.pub /k.pub is not enrolled", True, False),
        ("SecureBoot enabled\nkey /k.pub /k.pub is already in the enrollment request", True, False),
    ],
)
def test_secure_boot(said: str, enabled: bool | None, enrolled: bool) -> None:
    found = report.parse(changed("SecureBoot disabled\nefivar    0\nefi", said)).secure_boot
    assert (found.enabled, found.key_enrolled) == (enabled, enrolled)


OLD, NEW = "6.12.95+deb13-amd64", "6.12.107+deb13-amd64"
LISTED = f"kernel {NEW}\nkernel {NEW}\nkernel {NEW}\nkernel {OLD}\nkernel {OLD}"


@pytest.mark.parametrize(
    ("grub", "release"),
    [
        ("", NEW),
        ("GRUB_DEFAULT=0", NEW),
        (f"GRUB_DEFAULT=0\n{LISTED}", NEW),
        (f"GRUB_DEFAULT=0\nkernel {OLD}\nkernel {NEW}", OLD),
        (f'GRUB_DEFAULT="1>2"\n{LISTED}', OLD),
        (f'GRUB_DEFAULT="1>0"\n{LISTED}', NEW),
        (f'GRUB_DEFAULT="1>99"\n{LISTED}', OLD),
        (f'GRUB_DEFAULT="Advanced options for Debian>Debian, with Linux {OLD}"\n{LISTED}', OLD),
        (f"GRUB_DEFAULT=saved\nsaved_entry=gnulinux-advanced-1>gnulinux-{OLD}-advanced-1\n{LISTED}", OLD),
        (f"GRUB_DEFAULT=0\nsaved_entry=gnulinux-{OLD}-advanced-1\n{LISTED}", NEW),
        (f"GRUB_DEFAULT=0\nnext_entry=Debian, with Linux {OLD}\n{LISTED}", OLD),
        (f"GRUB_DEFAULT=0\nkernel 6.1.0-gone-amd64\n{LISTED}", NEW),
    ],
)
def test_the_kernel_that_boots_next(grub: str, release: str) -> None:
    text = (FOLDER / "debian13-everything-wrong.txt").read_text(encoding="utf-8")
    before, _, rest = text.partition("@@labctl grub\n")
    _, _, after = rest.partition("@@labctl secure-boot\n")
    found = report.parse(f"{before}@@labctl grub\n{grub}\n\n@@labctl secure-boot\n{after}")
    assert found.next_boot.release == release


def test_a_container_has_the_kernel_that_it_can_build_for() -> None:
    text = changed("container none", "container systemd-nspawn", "debian13-two-3090-distribution")
    text = text.replace(f"{NEW}|yes|yes||", f"6.18.0-outside|no|no||\n{NEW}|no|yes||")
    assert report.parse(text.replace(f"release {NEW}", "release 6.18.0-outside")).next_boot.release == NEW


_DEBIAN = "Debian NVIDIA Maintainers <pkg-nvidia-devel@lists.alioth.debian.org>|non-free/kernel"


@pytest.mark.parametrize(
    ("archive", "maker", "came"),
    [
        (
            "500 https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64  Packages",
            None,
            "nvidia",
        ),
        ("500 https://mirror.example/debian12/x86_64  Packages", None, "nvidia"),
        ("500 http://archive.example/debian bookworm/non-free amd64 Packages", _DEBIAN, "distribution"),
        ("100 /var/lib/dpkg/status", None, "nvidia"),  # no archive has it any more
        ("100 /var/lib/dpkg/status", _DEBIAN, "distribution"),
        (
            "500 https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64  Packages",
            _DEBIAN,
            "nvidia",
        ),
    ],
)
def test_where_a_driver_came_from(archive: str, maker: str | None, came: str) -> None:
    text = changed(
        "500 https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64  Packages",
        archive,
        "debian12-580-in-place",
    )
    if maker:
        text = text.replace("NVIDIA <linux-bugs@nvidia.com>|NVIDIA", maker)
    assert report.parse(text).came == came


def test_the_signed_modules_that_apt_has() -> None:
    text = (FOLDER / "ubuntu2604-5090.txt").read_text(encoding="utf-8")
    assert report.parse(text).signed_modules == ()
    listed = "linux-modules-nvidia-580-server-open-generic\nlinux-modules-nvidia-595-open-generic"
    text = text.replace("@@labctl sources", f"@@labctl signed-modules\n{listed}\n\n@@labctl sources")
    assert report.parse(text).signed_modules == tuple(listed.split())


def test_what_is_loaded() -> None:
    held = report.parse((FOLDER / "debian12-580-in-place.txt").read_text(encoding="utf-8"))
    assert (held.loaded, held.loaded_flavour, held.next_boot.flavour) == ("580.105.08", "open", "open")
    run = report.parse((FOLDER / "debian12-run-installer.txt").read_text(encoding="utf-8"))
    assert (run.loaded, run.loaded_flavour, run.came) == ("570.124.06", "proprietary", "run")


def test_only_displays_are_cards_and_lspci_may_be_missing() -> None:
    found = report.parse(changed("[GeForce RTX 3090]", "[renamed]"))
    assert [(card.slot, card.device, card.driver) for card in found.cards] == [
        ("0000:01:00.0", "2204", "nouveau"),
        ("0000:02:00.0", "2204", "nouveau"),
    ]
    assert found.cards[0].name == "GA102 [renamed]"
    text = changed("@@labctl lspci", "@@labctl nothing")
    assert [card.name for card in report.parse(text).cards] == ["", ""]


def test_an_ordinary_login_finds_modinfo_where_only_root_has_it_in_its_path() -> None:
    """Debian gives a login over SSH neither /usr/sbin nor /sbin; without modinfo no module would ever be found."""
    settings = SCRIPT.partition("section()")[0]
    said = subprocess.run(
        ["sh", "-c", f'{settings}\necho "$PATH"'],
        env={"PATH": "/usr/bin:/bin"},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert {"/usr/bin", "/usr/sbin", "/sbin"} <= set(said.strip().split(":"))
