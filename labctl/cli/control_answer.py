"""Starts and stops what a person names, and says what became of it."""

import json
from dataclasses import asdict

from labctl.cli.plan_words import wrapped
from labctl.edges.host_shells import host_shells
from labctl.edges.in_force import in_force
from labctl.edges.workload_control import Done
from labctl.errors import DONE, FAILED, SCHEMA_VERSION
from labctl.status.choice import Verb

_ALREADY = {"start": "runs already", "stop": "is stopped already"}


def answer(verb: Verb, names: tuple[str, ...], inventory: str, *, as_json: bool) -> int:
    """Do it; returns the exit code. Raises BadInput for a name that no host knows."""

    def say(line: str) -> None:
        if not as_json:
            print("\n".join(wrapped(line)), flush=True)

    done: list[Done] = []
    with host_shells(inventory) as shells:
        found = in_force(shells, say)
        for host, there in found.chosen(names).items():
            done += found.controls[host].do(verb, there)
    code = FAILED if any(each.outcome == "failed" for each in done) else DONE
    if as_json:
        print(json.dumps(_document(verb, done, code), indent=2))
    else:
        for each in done:
            _tell(verb, each)
    return code


def _tell(verb: Verb, each: Done) -> None:
    what = _ALREADY.get(verb, "") if each.outcome == "unchanged" else each.outcome
    words = "does not come up" if each.outcome == "failed" else what
    print("\n".join(wrapped(f"{each.workload} {words} on {each.host}.")))
    for line in each.said:
        print("\n".join(wrapped(line, indent="  ", later="    ")))
    for line in each.log:
        print(f"    {line}")


def _document(verb: Verb, done: list[Done], code: int) -> dict[str, object]:
    """One JSON document. Every key is always there."""
    return {
        "schema_version": SCHEMA_VERSION,
        "action": verb,
        "workloads": [asdict(each) for each in done],
        "exit_code": code,
    }
