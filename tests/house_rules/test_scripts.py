"""deploy/ and inventory/ are executed by pyinfra and are no packages, so import-linter does not see them."""

import ast
from pathlib import Path

import pytest

from tests.house_rules.tree import ROOT, files

MAY_IMPORT = {"deploy": {"roles", "labctl", "pyinfra"}, "inventory": {"labctl"}}
OURS = {"deploy", "inventory", "labctl", "pyinfra", "pyinfra_cli", "roles", "tests"}


def wrong_imports(source: str, allowed: set[str]) -> list[str]:
    """The imports of our own packages and of pyinfra that are not allowed."""
    imported: list[str] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            imported.append("." * node.level + (node.module or ""))
    return [name for name in imported if name.startswith(".") or name.split(".")[0] in OURS - allowed]


def scripts() -> list[Path]:
    return [path for path in files(".py") if path.relative_to(ROOT).parts[0] in MAY_IMPORT]


@pytest.mark.parametrize("script", scripts(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_run_one_way(script: Path) -> None:
    folder = script.relative_to(ROOT).parts[0]
    assert not wrong_imports(script.read_text(), MAY_IMPORT[folder])


def test_a_wrong_import_would_be_seen() -> None:
    allowed = MAY_IMPORT["inventory"]
    assert wrong_imports("from roles.base.deploy import base", allowed) == ["roles.base.deploy"]
    assert wrong_imports("import pyinfra.api", allowed) == ["pyinfra.api"]
    assert not wrong_imports("import os\nfrom labctl.secret import Secret", allowed)
