"""Where the roles and deploys are: at the root of a checkout, or carried inside an installed labctl."""

from __future__ import annotations

from pathlib import Path

import labctl

_PACKAGE = Path(labctl.__file__).resolve().parent


def project_root() -> Path:
    """The folder that holds `deploy/` and `roles/`. The wheel carries them in labctl/bundled."""
    bundled = _PACKAGE / "bundled"
    return bundled if bundled.is_dir() else _PACKAGE.parent


def deploy_file(name: str) -> Path:
    """The path of a deploy file."""
    return project_root() / "deploy" / name
