"""The demo, run as it is; then its ways to end badly, and what the tear-down's own check can see."""

import re
import shutil
from pathlib import Path

import pytest
from gguf import GGUFReader

from labctl.errors import Failed
from tests.host import demo, demo_session, tiny_gguf
from tests.host.hosts import ThrowawayHosts
from tests.host.leftovers import Footprint, machine_firewall

pytestmark = pytest.mark.host

_PARTS = 16


def test_the_demo_ends_with_real_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = demo.demo(tmp_path)
    assert told.answer.tokens > 0
    assert told.answer.text.strip()
    # The server has the very model that was written: no other has this many parameters.
    written = GGUFReader(tmp_path / f"{tiny_gguf.NAME}.gguf")
    assert told.answer.model == "chat"
    assert told.answer.parameters == sum(int(tensor.n_elements) for tensor in written.tensors)
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line for line in (*lines, *told.picture.splitlines()) if len(line) > 80] == []
    # Between them may stand what was said meanwhile, as that another run builds the image.
    timed = [line for line in lines if re.search(r" \d+\.\d s$", line)]
    assert len(timed) == _PARTS, "each part says how long it took"
    assert re.search(r"deploy +again: 0 changed", printed)
    assert re.search(r"apply +again: unchanged", printed)
    assert len(re.findall(r"verify +\d+ passed(, \d+ not run here)? ", printed)) == 2
    assert told.picture.startswith("Yes: all 2 of ")
    assert "chat" in told.picture


@pytest.mark.parametrize(
    ("stopped_by", "exit_code", "said"),
    [(Failed("nothing works"), 1, "FAILED"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_a_demo_that_stops_tears_down_and_says_where_the_logs_are(
    stopped_by: BaseException,
    exit_code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def stop(*_arguments: object, **_options: object) -> None:
        raise stopped_by

    monkeypatch.setattr(demo_session, "labctl", stop)
    assert demo.main() == exit_code
    printed = capsys.readouterr()
    assert re.search(rf"labctl deploy +{said}", printed.out)
    assert "no process, mount, link or nft rule is left" in printed.out
    folder = Path(printed.err.rsplit("the logs are in ", 1)[1].strip())
    assert "systemd" in (folder / "journal.log").read_text()
    shutil.rmtree(folder)


def test_what_a_living_session_has_is_found() -> None:
    with ThrowawayHosts() as hosts:
        hosts.boot("aibox")
        footprint = Footprint.of(hosts.session, machine_firewall())
        found = "\n".join(footprint.still_there())
        for kind in ("process", "link", "control group", "folder"):
            assert re.search(f"^{kind} ", found, re.MULTILINE), found
    footprint.check_gone()
    assert footprint.still_there() == []
