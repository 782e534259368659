"""`plan.json`: canonical, read back as the same plan, and refused with the place when it is broken."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from random import Random
from typing import Any

import pytest

from labctl.errors import BadInput
from labctl.plan.diff import difference
from labctl.plan.hardware import fingerprint
from labctl.plan.keep import incumbents
from labctl.plan.plan import Plan, PlannedHost, PlannedPort, Unplaced
from labctl.plan.plan_json import MOST_BYTES, dump, load
from tests.labctl.plan.plans import FIRST, SECOND, claims, host, plan, runs


def full() -> Plan:
    chat = runs(
        cards=(replace(claims(first=9000)[0], parts_mib={"weights": 8000, "kv_cache": 900}),),
        model="qwen3-8b",
        variant={"quant": "Q8_0", "context": 8192, "tensor_split": [1.0, 0.25]},
        tokens_per_second=76.7,
        ports=(PlannedPort(8080, 20000), PlannedPort(8080, 20000, "udp")),
        env={"NAME": "Küche"},
        secrets=("env.API_KEY",),
        training={"method": "qlora", "batch": 1, "sequence": 2048, "optimizer": "adamw", "rank": 16},
        displaces=("images",),
        when="23:00-01:00",
    )
    images = runs("comfyui", ports=(PlannedPort(8188, 20001),))
    return plan({"chat": chat, "images": images}, unplaced={"ui": Unplaced("open-webui", "aibox")})


def test_a_plan_reads_back_and_is_canonical() -> None:
    text = dump(full())
    assert load(text) == full() == load(text.encode())
    assert dump(load(text)) == text
    assert text == json.dumps(json.loads(text), indent=2, sort_keys=True, ensure_ascii=False) + "\n"
    assert "Küche" in text
    assert (replace(full(), unplaced={})) != full()


def test_the_order_of_names_does_not_matter() -> None:
    other = replace(full(), workloads=dict(reversed(list(full().workloads.items()))))
    assert dump(other) == dump(full())


Change = Callable[[dict[str, Any]], object]


def at(*path: str | int) -> Callable[[dict[str, Any]], Any]:
    def found(document: Any) -> Any:
        for each in path:
            document = document[each]
        return document

    return found


def with_hosts(document: dict[str, Any], *hosts: PlannedHost) -> None:
    """A rig with these, and their own fingerprint."""
    document["rig"]["hosts"] = [asdict(each) for each in hosts]
    document["rig"]["fingerprint"] = fingerprint(hosts)


CHAT = at("workloads", "chat")
BROKEN: dict[str, tuple[Change, tuple[str, ...]]] = {
    "a newer labctl": (
        lambda it: it.update(schema_version=2),
        ("schema_version", "found 2", "expected 1", "newer"),
    ),
    "version as text": (lambda it: it.update(schema_version="1"), ("schema_version", 'found "1"')),
    "version as truth": (lambda it: it.update(schema_version=True), ("schema_version", "found true")),
    "version zero": (lambda it: it.update(schema_version=0), ("schema_version", "found 0")),
    "no version": (lambda it: it.pop("schema_version"), ("expected an object with schema_version",)),
    "no rig": (lambda it: it.pop("rig"), ("x.json: rig", "a key is missing")),
    "an unknown key": (lambda it: CHAT(it).update(gpu=1), ("x.json: workloads.chat.gpu", "no such key")),
    "no host": (lambda it: CHAT(it).pop("host"), ("x.json: workloads.chat.host", "missing")),
    "text for a number": (
        lambda it: CHAT(it).update(ram_mib="8"),
        ("x.json: workloads.chat.ram_mib", 'found "8"', "expected integer"),
    ),
    "a negative number": (
        lambda it: at("workloads", "chat", "cards", 0)(it).update(high_mib=-1),
        ("x.json: workloads.chat.cards.0.high_mib", "found -1", "greater than or equal to 0"),
    ),
    "no port": (
        lambda it: at("workloads", "chat", "ports", 0)(it).update(host=70000),
        ("x.json: workloads.chat.ports.0.host", "found 70000"),
    ),
    "no time": (lambda it: CHAT(it).update(when="25:00-26:00"), ("x.json: workloads.chat.when", "25:00")),
    "another rig": (
        lambda it: at("rig", "hosts", 0)(it).update(ram_gib=64),
        ("x.json: rig.fingerprint", "not that of the hosts below it"),
    ),
    "a card twice": (
        lambda it: with_hosts(it, host(FIRST, SECOND, FIRST)),
        ("x.json: rig.hosts", "a card is named twice", f"found {FIRST}"),
    ),
    "a host twice": (
        lambda it: with_hosts(it, host(FIRST, SECOND), host()),
        ("x.json: rig.hosts", "a host is named twice", "found aibox"),
    ),
    "an unknown host": (
        lambda it: CHAT(it).update(host="else"),
        ("x.json: workloads.chat.host", "found else", "expected aibox"),
    ),
    "an unknown card": (
        lambda it: at("workloads", "chat", "cards", 0)(it).update(card="GPU-x"),
        ("x.json: workloads.chat.cards", "found GPU-x", FIRST),
    ),
    "a wrong position": (
        lambda it: at("workloads", "chat", "cards", 0)(it).update(position=1),
        ("x.json: workloads.chat.cards", "PCI order"),
    ),
    "a port twice": (
        lambda it: at("workloads", "images", "ports", 0)(it).update(host=20000),
        ("x.json: workloads.images.ports", "found 20000", "chat 8080 has it"),
    ),
    "a name that is a path": (
        lambda it: it["workloads"].update({"../chat": it["workloads"].pop("chat")}),
        ("x.json: workloads.../chat", "no name for a workload", "found ../chat", "small letters"),
    ),
    "a name with a line's end": (
        lambda it: it["workloads"].update({"chat\n": it["workloads"].pop("chat")}),
        ("no name for a workload",),
    ),
    "a name of our own": (
        lambda it: it["workloads"].update({"firewall": it["workloads"].pop("chat")}),
        ("x.json: workloads.firewall", "something of labctl itself has this name", "my-firewall"),
    ),
    "a short name of an image": (
        lambda it: CHAT(it).update(image="nginx:1.27"),
        ("x.json: workloads.chat.image", "found nginx:1.27", "expected docker.io/library/nginx:1.27"),
    ),
    "a number in words": (
        lambda it: at("workloads", "chat", "variant")(it).update(parallel="four"),
        ("x.json: workloads.chat.variant.parallel", 'found "four"', "expected a whole number of 1 or more"),
    ),
    "no number": (
        lambda it: at("workloads", "chat", "variant")(it).update(context=None),
        ("x.json: workloads.chat.variant.context", "found null", "a whole number"),
    ),
    "truth for a number": (
        lambda it: at("workloads", "chat", "variant")(it).update(n_cpu_moe=True),
        ("x.json: workloads.chat.variant.n_cpu_moe", "found true"),
    ),
    "no format": (
        lambda it: at("workloads", "chat", "variant")(it).update(quant={}),
        ("x.json: workloads.chat.variant.quant", "found {}", "expected a word"),
    ),
    "no split": (
        lambda it: at("workloads", "chat", "variant")(it).update(tensor_split=[1.0, "x"]),
        ("x.json: workloads.chat.variant.tensor_split", 'found [1.0, "x"]', "a list of numbers"),
    ),
    "an engine that is told nothing": (
        lambda it: at("workloads", "chat", "variant")(it).update(engine="llama.cpp"),
        ("x.json: workloads.chat.variant.parallel", "a key is missing (expected parallel)"),
    ),
    "vLLM without a card": (
        lambda it: CHAT(it).update(variant={"engine": "vllm", "quant": "awq", "parallel": 1}, cards=[]),
        ("x.json: workloads.chat.cards", "vLLM runs on cards alone"),
    ),
    "half a training": (
        lambda it: at("workloads", "chat", "training")(it).pop("rank"),
        ("x.json: workloads.chat.training.rank", "a key is missing (expected rank)"),
    ),
    "a training in words": (
        lambda it: at("workloads", "chat", "training")(it).update(batch="many"),
        ("x.json: workloads.chat.training.batch", 'found "many"'),
    ),
    "no training that there is": (
        lambda it: at("workloads", "chat", "training")(it).update(method="dora"),
        ("x.json: workloads.chat.training.method", 'found "dora"', "expected one of full, lora, qlora"),
    ),
    "an optimizer without a name": (
        lambda it: at("workloads", "chat", "training")(it).update(optimizer=8),
        ("x.json: workloads.chat.training.optimizer", "found 8", "expected a word"),
    ),
    "placed and not": (
        lambda it: it["unplaced"].update(chat=it["unplaced"]["ui"]),
        ("x.json: unplaced.chat", "at once"),
    ),
}


@pytest.mark.parametrize(("change", "words"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plan_is_refused_with_the_place(change: Change, words: tuple[str, ...]) -> None:
    document = json.loads(dump(full()))
    change(document)
    with pytest.raises(BadInput) as refused:
        load(json.dumps(document), "x.json")
    said = str(refused.value)
    assert said.startswith("x.json")
    assert all(word in said for word in words), said
    assert refused.value.hint


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ("no JSON", "(found Expecting value, line 1, column 1)")),
        ('{"a": 1\n "b": 2}', ("no JSON", "(found Expecting ',' delimiter, line 2, column 2)")),
        ("[1]", ("found [1]",)),
        ("null", ("found null",)),
        ('{"schema_version": 1, "schema_version": 1}', ("same key twice", "schema_version")),
        ("{" * 100_000, ("no JSON",)),
        ("[" * 100_000, ("no JSON", "brackets in brackets")),
        (b"{\xff}", ("no JSON", "(found byte 1 is no UTF-8)")),
        (b"\xff\xfe", ("no JSON",)),
        ('{"schema_version": NaN}', ("no JSON", "a number that is none")),
        ('{"schema_version": 1, "rig": 1e999}', ("no JSON", "a number that is none")),
        (f'{{"schema_version": {"1" * 5000}}}', ("no JSON", "too long)")),
        (" " * (MOST_BYTES + 1), ("too long",)),
    ],
)
def test_what_is_no_plan_is_refused(content: str | bytes, words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as refused:
        load(content, "x.json")
    assert all(word in str(refused.value) for word in ("x.json", *words))


def test_any_damage_is_refused_or_reads_back() -> None:
    random, text = Random(7), dump(full())
    for _ in range(300):
        damaged = json.loads(text)
        holder, key = random.choice(list(places(damaged)))
        holder[key] = random.choice([None, -1, 2**70, "x", [], {}, True, 1.5, ["x"]])
        said = refusal(json.dumps(damaged))
        assert not said or said.startswith("plan.json")
        with pytest.raises(BadInput):
            load(text[: random.randrange(len(text) - 2)])


def refusal(text: str) -> str:
    """What is said of it; nothing of a plan that reads back."""
    try:
        found = load(text)
    except BadInput as refused:
        return str(refused)
    assert difference(full(), found).same == difference(found, full()).same
    assert set(incumbents(found)) >= set(found.workloads)
    return "" if load(dump(found)) == found else "reads back as another"


def places(value: Any) -> Any:
    """Every holder and key in it."""
    keys = value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    for key in keys:
        yield value, key
        yield from places(value[key])
