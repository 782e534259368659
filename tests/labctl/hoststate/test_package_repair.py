"""The script that finishes what dpkg began, run by a real shell against package tools that only note what was asked."""

import shlex
import subprocess
from pathlib import Path

from labctl.hoststate.observation import Observations
from labctl.hoststate.packages import PackageHealth

_TOOL = """#!/bin/sh
printf '%s\\n' "${0##*/} $*" >>@folder@/said
case "${0##*/} $*" in
  dpkg-query*Eflag*binary*) echo '@again@' ;;
  dpkg-query*) echo 'half-configured ok @left@' | grep 'x-dkms' ;;
esac
case "${0##*/} $*" in @fails@) exit 100 ;; esac
exit 0
"""


def repaired(
    folder: Path, fails: str = "never", left: str = "", again: str = "", log: str = ""
) -> tuple[int, str, list[str]]:
    """Exit status, output, and what apt and dpkg were asked to change."""
    (folder / "bin").mkdir()
    for name in ("apt-get", "dpkg", "dpkg-query"):
        tool = _TOOL.replace("@folder@", str(folder)).replace("@fails@", fails)
        (folder / "bin" / name).write_text(tool.replace("@left@", left).replace("@again@", again))
        (folder / "bin" / name).chmod(0o755)
    (folder / "dkms").mkdir()
    script = PackageHealth().action(Observations()).script
    text = shlex.split(script[script.index("printf %s '") :])[2]
    text = text.replace("/run/labctl-apt", f"{folder}/unit").replace("/var/lib/dkms", f"{folder}/dkms")
    if log:
        text = text.replace("left=$(", f"sleep 0.01; echo '{log}' >{folder}/dkms/make.log\nleft=$(", 1)
    path = f"{folder}/bin:/usr/bin:/bin"
    done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, env={"PATH": path}, check=False)
    said = [
        " ".join(word for word in line.split() if "=" not in word and word != "-o")
        for line in (folder / "said").read_text().splitlines()
    ]
    return done.returncode, done.stdout, [line for line in said if not line.startswith("dpkg-query")]


_CONFIGURE = "dpkg --configure -a --force-confdef --force-confold"
_MEND = "apt-get --fix-broken install"


def test_what_can_be_finished_is(tmp_path: Path) -> None:
    status, _, said = repaired(tmp_path)
    assert status == 0
    assert said == [_CONFIGURE, _MEND, "apt-get check"]


def test_what_was_half_unpacked_is_unpacked_again(tmp_path: Path) -> None:
    status, _, said = repaired(tmp_path, again="half-installed ok podman")
    assert status == 0
    again = "apt-get --fix-broken --reinstall install podman"
    assert said == [_CONFIGURE, again, _CONFIGURE, _MEND, "apt-get check"]


def test_what_cannot_be_finished_is_named_with_the_compilers_word(tmp_path: Path) -> None:
    error = "/x/nv-pci.c:291:9: error: too few arguments"
    status, output, said = repaired(tmp_path, "dpkg*configure*|*fix-broken*", left="x-dkms", log=error)
    assert status == 1
    assert output.strip() == "labctl: dpkg cannot finish x-dkms: nv-pci.c:291:9: error: too few arguments"
    # Each try may build for minutes.
    assert said == [_CONFIGURE, _MEND, "apt-get check"]


def test_what_cannot_be_finished_for_another_reason_is_named_alone(tmp_path: Path) -> None:
    _, output, _ = repaired(tmp_path, "dpkg*configure*|*fix-broken*", left="x-dkms")
    assert output.strip() == "labctl: dpkg cannot finish x-dkms"


def test_what_is_missing_is_looked_for_again(tmp_path: Path) -> None:
    status, _, said = repaired(tmp_path, "*fix-broken*|*check")
    assert status != 0
    assert said == [_CONFIGURE, _MEND, "apt-get check", "apt-get update", _MEND, "apt-get check"]
