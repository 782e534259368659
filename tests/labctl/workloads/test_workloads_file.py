"""Mistakes in a workloads file, each told with its line, what stood there and what belongs there."""

import textwrap
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labctl.edges import catalog
from labctl.errors import BadInput
from labctl.workloads.workload import Amount, Window, Workload
from labctl.workloads.workloads_file import parse

ROOT = Path(__file__).resolve().parents[3]
HOME = (ROOT / "workloads" / "home.yaml").read_text()


def parsed(text: str) -> dict[str, Workload]:
    """The workloads of a text, by name."""
    found = parse(text, "home.yaml", catalog.service, catalog.service_names())
    return {each.name: each for each in found}


def where_refused(text: str) -> str | None:
    """Where it is wrong; None when it is not."""
    try:
        parsed(text)
    except BadInput as refused:
        return refused.where or "nowhere"
    return None


def entry(lines: str) -> str:
    """A file with one llama.cpp workload called `chat`, which starts in line 2, and these lines in it."""
    body = textwrap.indent(textwrap.dedent(lines).strip("\n"), "    ")
    return f"workloads:\n  chat:\n    service: llama.cpp\n    model: qwen3-8b\n{body}\n"


def test_the_manual_says_what_it_says() -> None:
    home = parsed(HOME)
    assert home["chat"].context == Amount(32768, 8192)
    assert home["chat"].parallel == Amount(4, 1)
    assert home["chat"].kv_types == ("f16", "q8_0")
    assert home["images"].quants == ("fp16",)
    assert home["tune"].when == Window(60, 420)
    assert home["tune"].displaces == ("chat",)
    assert home["ui"].uses == ("chat",)
    assert home["search"].ports == ("8080",)
    assert home["nextcloud"].priority == 90


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ("contxt: 8192", 5, ("contxt",)),
        ("context: 12", 5, ("context", "12")),
        ("context: {want: 4096, min: 8192}", 5, ("min is more than want",)),
        ("context: 8192\ncontext: 4096", 6, ("stands twice",)),
        ("parallel: 0", 5, ("parallel",)),
        ("quant: [Q4_K_M]\nkv_type: q3", 6, ("kv_type",)),
        ("expose: everyone", 5, ("no, vpn, lan or a host name",)),
        ("gpus:\n  cuont: 2", 6, ("cuont",)),
        ("uses: [iu]", 5, ("no workload of that name", "iu")),
        ("apart_from: [chat]", 5, ("cannot name itself",)),
        ("displaces: [chat]", 2, ("`workloads.chat`", "when")),
        ('when: "1-7"', 5, ("HH:MM-HH:MM",)),
        ("training: {method: qlora}", 5, ("does not train",)),
        ("ports: [99999]", 5, ("port",)),
        ("size: big", 5, ("WIDTHxHEIGHT",)),
        ("quant: Q8_0\ndtype: fp8", 2, ("quant and dtype say the same",)),
        ("priority: high", 5, ("priority", "high")),
        ("context: [", 6, ("not YAML",)),
        ("context: 32k", 5, ("found '32k'", "expected a whole number or a mapping")),
        ("context: 100", 5, ("found 100", "expected 256 or more")),
        ("quant: []", 5, ("expected at least 1 of them",)),
        ("kv_type: q8", 5, ("found 'q8'", "did you mean q8_0?")),
        ('ports: [80, "9000:80", "9000:81/tcp"]', 5, ("ports.2", "the same port of the host twice")),
        ("gpus: {count: 0}\nvram_mib: 5", 6, ("vram_mib", "leave one out")),
    ],
)
def test_a_mistake_is_told_with_its_line(lines: str, line: int, words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(entry(lines))
    said = str(caught.value)
    assert (caught.value.where or "").startswith(f"home.yaml:{line}"), said
    for word in words:
        assert word in said


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ("empty",)),
        ("workloads: {}", ("workloads",)),
        ("workload: {}", ("workload",)),
        ("workloads: {Chat: {service: ollama}}", ("Chat", "expected small letters, digits and hyphens")),
        (
            "workloads: {a: {service: ollama, apart_from: [b, b]}, b: {service: ollama}}",
            ("a.apart_from.1", "the same name twice"),
        ),
        (
            (
                "workloads: {a: {service: ollama, when: '01:00-02:00', displaces: [b]}, "
                "b: {service: ollama, when: '03:00-04:00'}}"
            ),
            ("a.displaces.0", "a job does not displace another job", "found b"),
        ),
        ("workloads: {a: {service: olama}}", ("olama", "did you mean ollama")),
        ("workloads: {a: {service: vllm}}", ("needs a model",)),
        ("workloads: {a: {service: nextcloud, model: qwen3-8b}}", ("loads no model",)),
        ("workloads: {a: {service: container}}", ("needs its image",)),
        ("workloads: {a: {service: axolotl, model: qwen3-8b}}", ("needs `training:`",)),
        (
            "workloads: {a: {service: ollama, uses: [chta]}, chat: {service: ollama}}",
            ("no workload of that name", "did you mean chat?"),
        ),
        ("- 1", ("expected a mapping",)),
        ("\x00", ("a character that YAML does not allow",)),
    ],
)
def test_a_file_that_cannot_be_meant(text: str, words: tuple[str, ...]) -> None:
    with pytest.raises(BadInput) as caught:
        parsed(text)
    for word in (*words, "home.yaml"):
        assert word in str(caught.value)


@given(st.integers(1, 10**6), st.integers(1, 10**6))
def test_a_wish_is_halved_down_to_the_least(one: int, other: int) -> None:
    amount = Amount(max(one, other), min(one, other))
    tried = amount.halved()
    assert (tried[0], tried[-1]) == (amount.want, amount.least)
    assert all(left > right for left, right in pairwise(tried))
    assert all(right in (left // 2, amount.least) for left, right in pairwise(tried))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (Window(60, 420), Window(419, 500), True),
        (Window(60, 420), Window(420, 500), False),
        (Window(1380, 120), Window(0, 60), True),
        (Window(1380, 120), Window(120, 1380), False),
        (Window(5, 5), Window(700, 701), True),
    ],
)
def test_windows_go_past_midnight(one: Window, other: Window, both: bool) -> None:
    assert one.overlaps(other) is both
    assert other.overlaps(one) is both


@given(
    st.integers(0, len(HOME) - 1),
    st.sampled_from([":", "\n", "-", "[", "}", "é", "\t", "0", "  ", "&a", "*a", "!x"]),
)
def test_a_damaged_file_is_refused_in_words_or_still_means_something(at: int, put: str) -> None:
    for damaged in (HOME[:at] + put + HOME[at:], HOME[:at] + HOME[at + 1 :], HOME[:at]):
        assert (where_refused(damaged) or "home.yaml").startswith("home.yaml")


def test_a_port_of_tcp_and_of_udp_are_two() -> None:
    found = parsed(entry('ports: ["53:53/tcp", "53:53/udp"]'))
    assert found["chat"].ports == ("53:53/tcp", "53:53/udp")
