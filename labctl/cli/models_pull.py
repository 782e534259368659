"""What `labctl models pull` does: decides what has to come from where, lets the hosts fetch it, and follows."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from labctl.cli.models_document import pull_document
from labctl.cli.models_progress import Line
from labctl.cli.models_text import nothing_text, pulled_text, size, wrapped
from labctl.edges import catalog
from labctl.edges.held_shell import ConnectionLost
from labctl.edges.host_models import Folder, Pulled
from labctl.edges.hub_errors import Answer, refusal
from labctl.edges.model_hosts import ModelHost, hosts_of_plan, model_hosts
from labctl.edges.model_origins import Origin, origin
from labctl.edges.model_reader import on_the_hub
from labctl.edges.plan_file import read_plan
from labctl.errors import DONE, FAILED, BadInput, Failed, LabctlError
from labctl.model_store.progress import Status
from labctl.model_store.request import Request
from labctl.plan.plan import Plan
from labctl.render.model_need import LeftOut, NeededModel, left_out, needed_models
from labctl.render.model_place import place_of

DEFAULT_PLAN = "plan.json"
_USUAL = {"llama.cpp": "Q4_K_M", "vllm": "bf16", "training": "bf16", "comfyui": "bf16"}
# A laptop's network is back within a minute of its waking, mostly.
_TRIES, _TRY_SECONDS = 12, 5.0


@dataclass(frozen=True)
class Asked:
    """The command line, as it was written."""

    what: tuple[str, ...]
    inventory: str
    quant: str | None
    engine: str
    source: str | None
    sha256: str | None
    as_json: bool


@dataclass
class _Work:
    """One host's share. pulled: what is known of its models, by place. problem: why nothing was done there.

    left_out: of the plan's models those that somebody else has to fetch.
    """

    name: str
    host: ModelHost | None
    needs: tuple[NeededModel, ...]
    left_out: tuple[LeftOut, ...] = ()
    origins: dict[str, Origin] = field(default_factory=dict)
    pulled: dict[str, Pulled] = field(default_factory=dict)
    instances: list[str] = field(default_factory=list)
    problem: LabctlError | None = None


def answer(asked: Asked) -> int:
    """Do it; returns the exit code. Raises BadInput for what cannot be meant, before anything is changed."""
    plan = _plan(asked)
    with model_hosts(asked.inventory) as hosts:
        works = list(_works(asked, plan, hosts))
        for work in works:
            _guarded(work, partial(_decide, asked=asked))
        if plan is None:
            for work in works:
                _raise_bad(work)
        line = Line()
        for work in works:
            _guarded(work, partial(_begin, line=line))
        for work in works:
            _guarded(work, partial(_follow, line=line))
        line.end()
    return _show(works, as_json=asked.as_json)


def _plan(asked: Asked) -> Plan | None:
    """None where models are named. Raises BadInput for options that do not belong together."""
    named = bool(asked.what) and not (len(asked.what) == 1 and asked.what[0].endswith(".json"))
    alone = {"--from": asked.source, "--quant": asked.quant, "--sha256": asked.sha256}
    given = [option for option, value in alone.items() if value is not None]
    if named and len(asked.what) > 1 and asked.source is not None:
        raise BadInput("one source is for one model", where="--from", found=f"{len(asked.what)} models")
    if named:
        return None
    if given:
        raise BadInput(
            "a plan says itself what it needs",
            where=given[0],
            found=f"{given[0]} and no MODEL",
            expected="labctl models pull MODEL …",
        )
    plan = read_plan(asked.what[0] if asked.what else DEFAULT_PLAN)
    if not plan.rig.bound:
        raise BadInput(
            "this plan is for cards without UUIDs",
            where=asked.what[0] if asked.what else DEFAULT_PLAN,
            found=f"the rig {plan.rig.name}",
            hint="make it for the hosts: labctl place WORKLOADS --inventory FILE --out plan.json",
        )
    return plan


def _works(asked: Asked, plan: Plan | None, hosts: Mapping[str, ModelHost | LabctlError]) -> Iterator[_Work]:
    if plan is None:
        if len(hosts) != 1:
            raise BadInput(
                "which host is meant?",
                where="--inventory",
                found=f"{len(hosts)} hosts",
                expected=f"{asked.inventory}:HOST, one of {', '.join(hosts)}",
            )
        needs = {name: tuple(_named(model, asked) for model in asked.what) for name in hosts}
        others: dict[str, tuple[LeftOut, ...]] = {}
    else:
        services = {service.name: service for service in catalog.services()}
        needs, others = {}, {}
        for of_plan, name in hosts_of_plan(plan, hosts).items():
            workloads = [each for each, planned in plan.workloads.items() if planned.host == of_plan]
            found = needed_models(plan, services, workloads)
            needs[name] = tuple(each for each in found if not each.starts_without)
            others[name] = left_out(plan, services, workloads)
    for name, needed in needs.items():
        host = hosts[name]
        problem = host if isinstance(host, LabctlError) else None
        there = host if isinstance(host, ModelHost) else None
        yield _Work(name, there, needed, others.get(name, ()), problem=problem)


def _named(model: str, asked: Asked) -> NeededModel:
    if asked.engine not in _USUAL:
        raise BadInput(
            "no engine of that name loads files from the folder of models",
            where="--engine",
            found=asked.engine,
            expected=", ".join(_USUAL),
        )
    named = on_the_hub(asked.source or model)
    quant = asked.quant or (named.quant if named else None) or _USUAL[asked.engine]
    return NeededModel(place_of(model, quant, asked.engine), model, quant, asked.engine, ())


def _decide(work: _Work, asked: Asked) -> None:
    """What is missing, and where it comes from."""
    if work.host is None:
        return
    lies = {each.place: each for each in work.host.models.listed().models if each.whole}
    for place in sorted({each.place for each in work.left_out if each.place} & lies.keys()):
        work.pulled[place] = Pulled(place, "there", lies[place].bytes, None, None)
    work.left_out = tuple(each for each in work.left_out if each.place not in lies)
    for need in work.needs:
        if need.place in lies:
            work.pulled[need.place] = Pulled(need.place, "there", lies[need.place].bytes, None, None)
            continue
        try:
            work.origins[need.place] = origin(need, asked.source, asked.sha256, work.host.models.sizes)
        except LabctlError as problem:
            work.pulled[need.place] = Pulled(need.place, "failed", None, problem, None)


def _raise_bad(work: _Work) -> None:
    """What was asked for by name and cannot be meant stops everything."""
    for each in work.pulled.values():
        if isinstance(each.error, BadInput):
            raise each.error


def _begin(work: _Work, line: Line) -> None:
    """Send what has to be sent, and start the host's own unit."""
    if work.host is None or not work.origins:
        return
    models = work.host.models
    for place, each in list(work.origins.items()):
        if each.sent:
            _refuse_no_room(models.listed(), each)
            models.send(each.wanted, each.sent, _sending(work.name, each, line))
            line.say(f"{work.name}: {place} is sent, the host verifies it")
    # Those that are copied on the host may read what others keep to themselves, and then have no network.
    copied = [each for each in work.origins.values() if any(file.copied for file in each.wanted.files)]
    fetched = [each for each in work.origins.values() if each not in copied]
    if fetched:
        token = next((each for each in fetched if each.token), None)
        request = Request(
            models.folder,
            tuple(each.wanted for each in fetched),
            token.token if token else None,
            token.endpoint if token else None,
        )
        work.instances.append(models.start(request))
    if copied:
        reads = sorted({file.copied for each in copied for file in each.wanted.files if file.copied})
        work.instances.append(
            models.start(Request(models.folder, tuple(each.wanted for each in copied)), reads)
        )


def _refuse_no_room(folder: Folder, each: Origin) -> None:
    needed = sum(file.bytes or 0 for file in each.wanted.files)
    part = next((lying.have_bytes for lying in folder.models if lying.place == each.wanted.place), 0)
    if folder.free_bytes is not None and needed - part > folder.free_bytes:
        raise Failed(
            "there is not enough room",
            where=folder.path,
            found=f"{size(folder.free_bytes)} to use",
            expected=size(needed - part),
            hint="`labctl models list` shows what lies there, `labctl models rm` removes it",
        )


def _sending(host: str, each: Origin, line: Line) -> Callable[[int], object]:
    whole = sum(file.bytes or 0 for file in each.wanted.files)
    return lambda done: line.show(
        host, Status("loading", each.wanted.place, each.wanted.place, done, whole), "sending"
    )


def _follow(work: _Work, line: Line) -> None:
    if work.host is None:
        return
    for instance in work.instances:
        for each in _followed(work.host, instance, line):
            came = work.origins[each.place]
            work.pulled[each.place] = replace(each, error=_explained(each, came))


def _followed(host: ModelHost, instance: str, line: Line) -> tuple[Pulled, ...]:
    """Through broken connections: the host goes on meanwhile."""
    for attempt in range(1, _TRIES + 1):
        try:
            return host.models.follow(instance, lambda status: line.show(host.name, status))
        except ConnectionLost as lost:
            if attempt == _TRIES:
                lost.hint = "the host goes on by itself; run the same command again to follow it"
                raise
            line.say(f"{host.name}: the connection broke; the host goes on, trying again")
            time.sleep(_TRY_SECONDS)
    raise AssertionError("the last attempt raises")


def _explained(each: Pulled, came: Origin) -> LabctlError | None:
    """What the hub means by its refusal."""
    if each.answer is None or came.repository is None or came.endpoint is None:
        return each.error
    headers = {str(name): str(value) for name, value in each.answer["headers"].items()}
    return refusal(Answer(int(each.answer["status"]), headers), came.repository, came.endpoint)


def _guarded(work: _Work, act: Callable[[_Work], None]) -> None:
    """One host's trouble is not the others'."""
    if work.problem is not None:
        return
    try:
        act(work)
    except LabctlError as problem:
        work.problem = problem


def _show(works: Sequence[_Work], *, as_json: bool) -> int:
    failed = any(work.problem or any(each.error for each in work.pulled.values()) for work in works)
    code = FAILED if failed else DONE
    if as_json:
        document = pull_document(
            [
                (work.name, _folder(work), tuple(work.pulled.values()), work.left_out, work.problem)
                for work in works
            ],
            code,
        )
        print(json.dumps(document, indent=2))
        return code
    for work in works:
        if work.problem is not None:
            print("\n".join(wrapped(f"{work.name}: {work.problem}")))
        elif work.pulled or work.left_out:
            pulled = tuple(work.pulled.values())
            print(pulled_text(work.name, _folder(work) or "", pulled, work.left_out), end="")
        else:
            print(nothing_text(work.name), end="")
    return code


def _folder(work: _Work) -> str | None:
    return work.host.models.folder if work.host else None
