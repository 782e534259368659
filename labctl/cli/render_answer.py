"""What `labctl render` does and says."""

import json
from dataclasses import asdict
from pathlib import Path

from labctl.edges.plan_file import read_plan
from labctl.edges.rendering import render_for, write_stage
from labctl.errors import SCHEMA_VERSION, BadInput
from labctl.plan.plan import Plan
from labctl.render.host import HostFacts
from labctl.render.podman import version
from labctl.render.render import Rendered
from labctl.transaction.manifest import PLAN_NAME


def answer(path: str, host: str | None, podman: str, out: Path | None, *, as_json: bool) -> None:
    """Print or write the files. Raises BadInput and Failed."""
    plan = read_plan(path)
    name = host or _only_host(plan)
    rendered = render_for(plan, name, HostFacts(podman=version(podman, "--podman")))
    if out is not None:
        write_stage(out, rendered)
    if as_json:
        print(json.dumps(_document(name, rendered, out), indent=2, ensure_ascii=False))
        return
    if out is None:
        for file, content in rendered.files.items():
            if file != PLAN_NAME:
                print(f"──── {file}\n{content.decode()}")
    print("\n".join(_summary(name, rendered, out)))
    if not plan.rig.bound:
        print("note: made for a rig file whose cards have no UUIDs: to look at, not to apply")


def _only_host(plan: Plan) -> str:
    names = [each.name for each in plan.rig.hosts]
    if len(names) != 1:
        raise BadInput(
            "which host is meant?", where="--host", found=f"{len(names)} hosts", expected=", ".join(names)
        )
    return names[0]


def _summary(host: str, rendered: Rendered, out: Path | None) -> list[str]:
    """What has to be there before it all can start."""
    count = len(rendered.files) - 1
    found = [f"{host}: {count} files{'' if out is None else f' in {out}'}"]
    found += [f"image: {image.name}" for image in rendered.manifest.images]
    found += [f"secret: {secret.name} ({secret.made})" for secret in rendered.secrets]
    found += [f"model of {name}: {place}" for name, place in rendered.model_files.items()]
    return found


def _document(host: str, rendered: Rendered, out: Path | None) -> dict[str, object]:
    return {
        "schema_version": SCHEMA_VERSION,
        "host": host,
        "out": None if out is None else str(out),
        "files": {path: content.decode() for path, content in rendered.files.items() if path != PLAN_NAME},
        "images": [image.name for image in rendered.manifest.images],
        "secrets": [asdict(secret) for secret in rendered.secrets],
        "model_files": dict(rendered.model_files),
    }
