"""The units of a stage, tried by the tools that will read them, before anything on the host is touched."""

from __future__ import annotations

import re
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path

from labctl.errors import AnswerIsNo, BadInput, Failed
from labctl.transaction.disk import files_below, seen
from labctl.transaction.manifest import FILE_NAME as MANIFEST
from labctl.transaction.manifest import ManagedUnit, Manifest, Port, stage_id
from labctl.transaction.programs import Programs

GENERATOR = "/usr/lib/systemd/system-generators/podman-system-generator"
_QUADLET = (".container", ".volume", ".network", ".pod", ".kube", ".image", ".build")
_BESIDE = ("meta.json",)  # written into a generation, of no stage


def refuse_damaged(folder: Path, manifest: Manifest, text: str, wanted_id: str | None) -> None:
    """Raise Failed unless every file of a stage is there, is what its manifest says, and there is no other."""
    if wanted_id is not None and stage_id(text) != wanted_id:
        raise _damaged(folder / MANIFEST, "its hash is not the stage's name")
    wanted = {file.path: file.sha256 for file in manifest.files}
    present = {str(path.relative_to(folder)): path for path in files_below(folder)}
    for name in sorted(wanted.keys() - present.keys()):
        raise _damaged(folder / name, "it is not there")
    for name in sorted(present.keys() - wanted.keys() - {MANIFEST, *_BESIDE}):
        raise _damaged(folder / name, "the manifest does not name it")
    for name, digest in sorted(wanted.items()):
        if seen(present[name]).sha256 != digest:
            raise _damaged(folder / name, "its hash is not the manifest's")


def refuse_bad_units(folder: Path, manifest: Manifest, programs: Programs) -> None:
    """Raise BadInput for a unit that Quadlet or systemd would not take; warnings count."""
    sources = [file.path for file in manifest.files if Path(file.path).suffix in _QUADLET]
    with tempfile.TemporaryDirectory(prefix="labctl-check-") as place:
        out = Path(place)
        if sources:
            _quadlet(folder / "units", sources, out, programs)
        for file in manifest.files:
            if file.path.startswith("systemd/") and file.path.count("/") == 1:
                (out / Path(file.path).name).write_bytes((folder / file.path).read_bytes())
        units = sorted(str(path) for path in out.iterdir())
        if not units:
            return
        missing = sorted({unit.unit for unit in manifest.units} - {Path(unit).name for unit in units})
        if missing:
            raise BadInput("no file of the stage makes this unit", where=missing[0])
        # Found beside each other; the empty last part stands for systemd's own folders.
        done = programs.run(
            ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", *units],
            env={"SYSTEMD_UNIT_PATH": f"{out}:"},
        )
        ours = [line.replace(f"{out}/", "") for line in done.stderr.splitlines() if str(out) in line]
        if done.status or ours:
            raise BadInput(
                "systemd does not take this unit", where="systemd-analyze", found=(ours or [done.said])[0]
            )


def refuse_taken_ports(
    starting: Iterable[ManagedUnit], stopping: Iterable[ManagedUnit], programs: Programs
) -> None:
    """Raise AnswerIsNo for a port that something else holds: found now, or by a service that is stopped already."""
    ours = {(port.port, port.protocol) for unit in stopping for port in unit.ports}
    for unit in starting:
        for port in unit.ports:
            if (port.port, port.protocol) not in ours and not _is_free(port):
                raise AnswerIsNo(
                    f"port {port.port}/{port.protocol} is taken",
                    where=unit.name,
                    found=_holder(port, programs),
                    expected=f"{port.address}:{port.port} free",
                    hint=f"end what holds it, or give {unit.name} another port in the workloads file",
                )


def _quadlet(folder: Path, sources: list[str], out: Path, programs: Programs) -> None:
    done = programs.run([GENERATOR, "--dryrun"], env={"QUADLET_UNIT_DIRS": str(folder)})
    wrong = [line for line in done.stderr.splitlines() if "Loading source unit file" not in line]
    parts = re.split(r"^---(\S+)---$", done.stdout, flags=re.MULTILINE)[1:]
    if done.status or wrong or len(parts) // 2 != len(sources):
        said = re.sub(r"^quadlet-generator\[\d+\]: ", "", wrong[0]) if wrong else done.said
        raise BadInput(
            "Quadlet does not take this unit",
            where=GENERATOR.rpartition("/")[2],
            found=said.replace(f"{folder}/", ""),
            hint="is this host's Podman the version that the plan was rendered for?",
        )
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        (out / name).write_text(text)


def _is_free(port: Port) -> bool:
    family = socket.AF_INET6 if ":" in port.address else socket.AF_INET
    kind = socket.SOCK_STREAM if port.protocol == "tcp" else socket.SOCK_DGRAM
    with socket.socket(family, kind) as probe:
        # What a connection left behind some seconds ago holds no port.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((port.address, port.port))
        except OSError:
            return False
    return True


def _holder(port: Port, programs: Programs) -> str:
    flag = "t" if port.protocol == "tcp" else "u"
    done = programs.run(["ss", f"-Hnlp{flag}", f"sport = :{port.port}"])
    names = sorted(set(re.findall(r'"([^"]+)",pid=(\d+)', done.stdout)))
    return ", ".join(f"{name} (process {pid})" for name, pid in names) or "another program"


def _damaged(path: Path, what: str) -> Failed:
    return Failed("the stage is damaged", where=str(path), found=what, hint="apply again: it is sent anew")
