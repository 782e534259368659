"""Files are small and their names say what is in them."""

from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT, files

MAX_LINES = 400
# A longer file, and the reason why it is one.
LONGER: dict[str, str] = {}

# Written down or generated, not read from top to bottom.
DATA_SUFFIXES = {".json", ".jsonl", ".txt", ".yaml"}
SAY_NOTHING = {"utils", "util", "helpers", "helper", "manager", "managers", "misc", "common", "stuff"}


def too_long(name: str, text: str) -> bool:
    return len(text.splitlines()) > MAX_LINES and name not in LONGER


def says_nothing(path: Path) -> bool:
    return any(word in SAY_NOTHING for part in path.parts for word in Path(part).stem.lower().split("_"))


def test_no_file_is_longer_than_needed() -> None:
    texts = {str(path.relative_to(ROOT)): path for path in files() if path.suffix not in DATA_SUFFIXES}
    assert [name for name, path in texts.items() if too_long(name, path.read_text())] == []


def test_reasons_are_given_only_for_long_files() -> None:
    assert [name for name in LONGER if len((ROOT / name).read_text().splitlines()) <= MAX_LINES] == []


def test_a_long_file_would_be_seen() -> None:
    assert too_long("labctl/planted.py", "x = 1\n" * (MAX_LINES + 1))
    assert not too_long("labctl/planted.py", "x = 1\n" * MAX_LINES)


def test_names_say_what_is_in_a_file() -> None:
    assert [str(path) for path in files() if says_nothing(path.relative_to(ROOT))] == []


@pytest.mark.parametrize(
    "name",
    ["labctl/utils.py", "labctl/place/gpu_helpers.py", "tests/host/manager.py", "roles/common/deploy.py"],
)
def test_a_name_that_says_nothing_would_be_seen(name: str) -> None:
    assert says_nothing(Path(name))
