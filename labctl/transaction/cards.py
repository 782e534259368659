"""The cards of this host: are they there, and is their memory really free before the next service takes it?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from labctl.errors import AnswerIsNo, Failed
from labctl.transaction.programs import Done, Programs
from labctl.transaction.report import Report

WAIT_SECONDS = 60.0
"""The driver gives memory back within a few seconds of a process's end; a core dump of a large one takes longer."""
_POLL_SECONDS = 0.5
_FREE = ["nvidia-smi", "--query-gpu=uuid,memory.free", "--format=csv,noheader,nounits"]
_USERS = ["nvidia-smi", "--query-compute-apps=gpu_uuid,pid,process_name,used_memory", "--format=csv,noheader"]


def refuse_missing(wanted_mib: Mapping[str, int], programs: Programs) -> None:
    """Raise AnswerIsNo when a card that is claimed does not answer. wanted_mib: by UUID."""
    if not wanted_mib:
        return
    present = _free_mib(wanted_mib, programs)
    for uuid in wanted_mib:
        if uuid not in present:
            raise AnswerIsNo(
                "a card that the plan uses does not answer",
                where=uuid,
                found=", ".join(present) or "no card",
                hint=f"plan again without it: labctl place --without {uuid}",
            )


def wait_until_free(wanted_mib: Mapping[str, int], programs: Programs, report: Report) -> None:
    """Return when each card has that much free. Raises Failed after WAIT_SECONDS, naming who uses it."""
    if not wanted_mib:
        return
    started, said = programs.seconds(), False
    while True:
        free = _free_mib(wanted_mib, programs)
        short = {uuid: mib for uuid, mib in wanted_mib.items() if free.get(uuid, 0) < mib}
        if not short:
            return
        if not said:
            said = True
            for uuid, mib in short.items():
                report.line(f"wait: {uuid} has {free.get(uuid, 0)} of {mib} MiB free")
        if programs.seconds() - started >= WAIT_SECONDS:
            uuid, mib = next(iter(short.items()))
            raise Failed(
                f"the card's memory was not given back within {WAIT_SECONDS:g} s",
                where=uuid,
                found=f"{free.get(uuid, 0)} MiB free; used by {_users(uuid, programs)}",
                expected=f"{mib} MiB",
                hint="end what uses it, or plan again: labctl place",
            )
        programs.sleep(_POLL_SECONDS)


def _free_mib(wanted: Iterable[str], programs: Programs) -> dict[str, int]:
    """Of the cards that answer; nvidia-smi gives up on all of them when one is lost, so it is asked by card then."""
    found = _read(programs.run(_FREE))
    for uuid in wanted:
        if uuid not in found:
            found |= _read(programs.run([*_FREE, f"--id={uuid}"]))
    return found


def _read(done: Done) -> dict[str, int]:
    rows = [line.split(",") for line in done.stdout.splitlines() if line.startswith("GPU-")]
    return {row[0].strip(): int(row[1]) for row in rows if len(row) == 2 and row[1].strip().isdigit()}


def _users(uuid: str, programs: Programs) -> str:
    rows = [
        [part.strip() for part in line.split(",")]
        for line in programs.run(_USERS).stdout.splitlines()
        if uuid in line
    ]
    return (
        ", ".join(f"{row[2]} (process {row[1]}, {row[3]})" for row in rows if len(row) == 4)
        or "nobody it names"
    )
