"""What hurried hands, broken editors and hostile neighbours make of a YAML file; the same for the same seed."""

import random
import re
from collections.abc import Callable, Iterator
from typing import Any

import yaml

from tests.labctl.rig.test_mutated_rig_files import mutated as with_broken_lines

Node = dict[str, Any] | list[Any]
Place = tuple[Node, str | int]
HUGE = 10**400
STRANGE: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, HUGE, -(10**30), 0.5, -0.0, 1e308, float("inf"), float("-inf"),
    float("nan"), "", " ", "~", "null", "auto", "x" * 5000, "\u2028", "e\u0301", "\u202eabc", "\U0001f600", "a\nb",
    "../../etc", "/", "no", "1:2", "01:00-01:00", "0x10", "1e3", "GPU-0", "65536:80", "80:80", "1024x1024", "99999x99999",
    "$(id)", "{{ x }}", "%s", "!!python/object:os.system", "2026-13-45", [], {}, [[]], [None], {"a": 1}, {"want": 4, "min": 8},
    {"want": 4096, "min": 1}, {"want": 262144, "min": 1024}, [1, 2, 3], ["a"], ["chat"], ["a", "a"], 64, 4096, 16777216,
)  # fmt: skip
BOMB = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}' if n else 'x'] * 9)}]\n" for n in range(9))


def mutated(text: str, chance: random.Random) -> bytes:
    """The file after one to three mishaps: to its structure, its lines, or its bytes."""
    kind = chance.random()
    if kind < 0.7:
        return with_structure_changed(text, chance).encode("utf-8", "surrogatepass")
    if kind < 0.85:
        return with_broken_lines(text, chance).encode()
    return with_broken_bytes(text.encode(), chance)


def with_structure_changed(text: str, chance: random.Random) -> str:
    """Keys misspelt, gone or moved, values of another type or size, lists for mappings; written out anew."""
    document = yaml.safe_load(text)
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        places = list(_places(document))
        if places:
            chance.choice(_CHANGES)(*chance.choice(places), chance)
    written: str = yaml.dump(
        document,
        Dumper=_WithoutAliases,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=chance.choice([None, True, False]),
    )
    if chance.random() < 0.1:
        lines = written.split("\n")
        lines.insert(chance.randrange(len(lines)), chance.choice(lines))
        written = "\n".join(lines)
    return written


def with_broken_bytes(content: bytes, chance: random.Random) -> bytes:
    """Cut off, bits flipped, noise put in, other encodings, bombs in front or behind."""
    at, size = chance.randrange(len(content)), chance.randint(1, 40)
    noise = bytes(chance.randrange(256) for _ in range(size))
    nested = b"[" * chance.choice((30, 40, 1000, 100_000))
    return chance.choice(
        (
            content[:at],
            content[:at] + bytes((content[at] ^ (1 << chance.randrange(8)),)) + content[at + 1 :],
            content[:at] + noise + content[at:],
            content[:at] + content[at + size :],
            content.replace(b"\n", b"\r\n"),
            content.decode().encode("utf-16"),
            b"\xef\xbb\xbf" + content,
            BOMB.encode() + content,
            content + BOMB.encode(),
            content[:at] + nested + content[at:],
            b"x: " + nested,
            content + b"\n---\n" + content,
            b"",
            b"# nothing\n",
            noise * 100,
            content[:at] + b"\x00" + content[at:],
        )
    )


class _WithoutAliases(yaml.SafeDumper):
    """Writes a value out wherever it stands."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _places(node: Node) -> Iterator[Place]:
    pairs = list(node.items()) if isinstance(node, dict) else list(enumerate(node))
    for key, value in pairs:
        yield node, key
        if isinstance(value, dict | list):
            yield from _places(value)


def _rename(node: Node, key: str | int, chance: random.Random) -> None:
    if isinstance(node, dict):
        word = str(key)
        at = chance.randrange(max(1, len(word)))
        other = chance.choice(
            (
                word[:at] + word[at + 1 :],
                word[:at] + word[at : at + 1] + word[at:],
                word + "s",
                word.upper(),
                "x",
                "",
            )
        )
        items = [(other if each == key else each, value) for each, value in node.items()]
        node.clear()
        node.update(items)


def _replace(node: Node, key: str | int, chance: random.Random) -> None:
    node[key] = chance.choice(STRANGE)  # type: ignore[index] # a mapping's key, or a list's position


def _remove(node: Node, key: str | int, chance: random.Random) -> None:
    del node[key]  # type: ignore[arg-type] # as above


def _turn(node: Node, key: str | int, chance: random.Random) -> None:
    """A list for a mapping, a mapping for a list, either for a plain value."""
    value = node[key]  # type: ignore[index] # as above
    if isinstance(value, dict):
        turned: Any = list(value) if chance.random() < 0.5 else list(value.values())
    elif isinstance(value, list):
        turned = dict(enumerate(map(str, value)))
    else:
        turned = chance.choice(([value], {"value": value}, {str(value): None}))
    node[key] = turned  # type: ignore[index] # as above


def _scale(node: Node, key: str | int, chance: random.Random) -> None:
    value = node[key]  # type: ignore[index] # as above
    if isinstance(value, int | float) and not isinstance(value, bool):
        node[key] = value * chance.choice((-1, 0, 2, 10, 1000, 10**6, 10**12))  # type: ignore[index] # as above
    elif isinstance(value, str):
        node[key] = re.sub(r"\d+", lambda _: str(chance.choice((0, 7, 10**9))), value)  # type: ignore[index] # as above


def _bury(node: Node, key: str | int, chance: random.Random) -> None:
    value = node[key]  # type: ignore[index] # as above
    for _ in range(chance.choice((1, 30, 60))):
        value = [value]
    node[key] = value  # type: ignore[index] # as above


def _double(node: Node, key: str | int, chance: random.Random) -> None:
    if isinstance(node, list):
        node.insert(chance.randint(0, len(node)), node[int(key)])
    else:
        node[f"{key}{chance.choice(('2', '-', ' ', '_b', 'ß'))}"] = (
            node[str(key)] if str(key) in node else None
        )


_CHANGES: tuple[Callable[[Node, Any, random.Random], None], ...] = (
    _rename, _replace, _replace, _replace, _remove, _turn, _scale, _scale, _bury, _double,
)  # fmt: skip
