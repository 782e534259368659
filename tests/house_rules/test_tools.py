"""ruff, mypy and import-linter, as tests. Each is also shown a planted bug, so that its silence means something."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT

SOURCES = [name for name in ("labctl", "roles", "deploy", "inventory", "tests") if (ROOT / name).is_dir()]


def run(*command: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name(str(command[0]))
    return subprocess.run([tool, *command[1:]], cwd=cwd, capture_output=True, text=True, check=False)


def complaints(result: subprocess.CompletedProcess[str]) -> str:
    return result.stdout + result.stderr if result.returncode else ""


def expect_none(result: subprocess.CompletedProcess[str]) -> None:
    if result.returncode:
        pytest.fail(complaints(result), pytrace=False)


def test_ruff_finds_nothing() -> None:
    expect_none(run("ruff", "check", "--output-format=concise", "."))


def test_ruff_would_find_an_unused_import(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text('"""Planted."""\n\nimport sys\n')
    assert "F401" in complaints(run("ruff", "check", "--config", ROOT / "pyproject.toml", planted))


def test_everything_is_formatted() -> None:
    expect_none(run("ruff", "format", "--diff", "."))


def test_the_formatter_would_see_a_single_quote(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("x = 'a'\n")
    assert complaints(run("ruff", "format", "--check", "--config", ROOT / "pyproject.toml", planted))


def test_types_hold_strictly() -> None:
    expect_none(run("mypy", *SOURCES))


def test_mypy_would_see_an_untyped_function(tmp_path: Path) -> None:
    planted = tmp_path / "planted.py"
    planted.write_text("def f(x):\n    return x\n")
    result = run("mypy", "--config-file", ROOT / "pyproject.toml", planted)
    assert "no-untyped-def" in complaints(result)


def test_imports_run_one_way() -> None:
    expect_none(run("lint-imports", "--no-cache"))


@pytest.mark.parametrize(
    ("module", "line", "contract"),
    [
        ("labctl/hoststate/planted.py", "import labctl.edges.events", "Inside labctl"),
        ("labctl/errors.py", "import labctl.cli", "Inside labctl"),
        ("labctl/hoststate/planted.py", "import subprocess", "Deciding code"),
        ("labctl/hoststate/planted.py", "import pyinfra.api", "Deciding code"),
        ("labctl/edges/planted.py", "import roles", "Imports run one way"),
        ("roles/planted.py", "import deploy.gpu_host", "Nothing installed knows"),
    ],
)
def test_import_linter_would_see(module: str, line: str, contract: str, tmp_path: Path) -> None:
    for package in ("labctl", "roles"):
        for source in (ROOT / package).rglob("*.py"):
            copy = tmp_path / source.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(source.read_bytes())
    with (tmp_path / module).open("a") as planted:
        planted.write(f"\n{line}\n")
    # The folder lint-imports is started in comes first on its path.
    result = run("lint-imports", "--no-cache", "--config", ROOT / "pyproject.toml", cwd=tmp_path)
    broken = [text for text in result.stdout.splitlines() if text.endswith("BROKEN")]
    assert result.returncode
    assert [text for text in broken if text.startswith(contract)], result.stdout


# What reads the world: the way in, the edges, and secrets, which are read where they are used. `settings` is only
# types, one of which is Secret.
# labctl.transaction runs on the host; its deciding modules have a contract of their own.
NOT_PURE = {
    "labctl.__main__",
    "labctl.cli",
    "labctl.edges",
    "labctl.model_store",
    "labctl.secret",
    "labctl.settings",
    "labctl.transaction",
}


def test_every_part_of_labctl_that_decides_is_held_to_purity() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    pure = next(set(each["source_modules"]) for each in contracts if each["name"].startswith("Deciding code"))
    parts = {
        f"labctl.{path.stem}"
        for path in (ROOT / "labctl").iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").is_file()) and path.stem != "__init__"
    }
    assert parts - NOT_PURE == pure
