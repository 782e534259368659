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
    None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, HUGE, -(10**30), 0.5, -0.0, 1e308, float("inf"),
    float("-inf"),
    float("nan"), "", " ", "~", "null", "auto", "x" * 5000, "\u2028", "e\u0301", "\u202eabc", "\U0001f600", "a\nb",
    "../../etc", "/", "no", "1:2", "01:00-01:00", "0x10", "1e3", "GPU-0", "65536:80", "80:80", "1024x1024",
    "99999x99999",
    "$(id)", "{{ x }}", "%s", "!!python/object:os.system", "2026-13-45", [], {}, [[]], [None], {"a": 1},
    {"want": 4, "min": 8},
    {"want": 4096, "min": 1}, {"want": 262144, "min": 1024}, [1, 2, 3], ["a"], ["chat"], ["a", "a"], 64, 4096,
    16777216,
)  # fmt: skip
# What a person might as well have written there.
PLAUSIBLE: dict[str, tuple[Any, ...]] = {
    "service": ("llama.cpp", "vllm", "ollama", "comfyui", "whisper", "container", "nextcloud", "axolotl"),
    "model": ("qwen2.5-0.5b", "qwen3-30b-a3b", "llama-3.1-70b", "bge-m3", "sdxl", "rtx-3090", "rtx-4060",
    "dgx-spark", "a100-pcie-40gb"),
    "quant": ("auto", "Q4_K_M", ["Q8_0", "IQ4_XS"], "bf16", "awq"),
    "context": (256, 4096, 32768, 131072, 1_000_000, {"want": 131072, "min": 2048}, {"want": 16777216, "min": 256}),
    "parallel": (1, 3, 64, {"want": 4096, "min": 1}),
    "kv_type": ("auto", "q8_0", ["f16", "q4_0"], "fp8"),
    "gpus": ({"count": 0}, {"count": 2}, {"count": 7}, {"exclusive": True}, {"host": "box"},
    {"models": ["rtx-3060"]},
             [{"model": "rtx-3090", "count": 16}], [], [{"model": "dgx-spark"}], [{"model": "rtx-3090"},
         {"model": "gtx-1060"}]),
    "count": (0, 1, 2, 3, 8, 12, 16, 64), "offload": (True, False), "displaces": (["listen"], ["chat",
    "listen"], []),
    "apart_from": (["chat"], ["paint", "thing"]), "when": ("23:00-05:00", "00:00-00:00"), "priority": (0, 50, 1000),
    "ports": ([80], ["8080:80", "9000:81"], [8080, 8080]), "vram_mib": (0, 1, 11000, 30000, 16777216),
    "load": (0, 1000),
    "ram_mib": (0, 65536), "disk_mib": (0, 10**7), "ram_gib": (0.5, 4, 2000), "psu_watts": (100, 300, 10_000),
    "disk_gib": (1, 50),
    "power_limit_watts": (100, 5000), "memory_mib": (1, 6000, 200_000), "foreign_mib": (5000, 10**6),
    "reserved_mib": (0, 10**6),
    "nvlink": ([[0, 1]], [[0, 1], [1, 0]]), "compute_mode": ("prohibited", "exclusive_process"),
    "size": ("64x64", "8192x8192"),
    "frames": (81, 10_000), "batch": (64, 4096), "sequence": (131072, 16777216), "method": ("full", "lora"),
    "name": ("box", "a.b-c"),
}  # fmt: skip
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


def _plausible(node: Node, key: str | int, chance: random.Random) -> None:
    """Another value that the key may have; a key that its mapping may have."""
    if isinstance(node, dict):
        word = str(key) if str(key) in PLAUSIBLE and chance.random() < 0.8 else chance.choice(list(PLAUSIBLE))
        node[word] = chance.choice(PLAUSIBLE[word])


def _remove(node: Node, key: str | int, _: random.Random) -> None:
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
        node[f"{key}{chance.choice(('2', '-', ' ', '_b', 'ß'))}"] = node.get(str(key))


_CHANGES: tuple[Callable[[Node, Any, random.Random], None], ...] = (
    _rename, _replace, _replace, _remove, _turn, _scale, _bury, _double,
    _plausible, _plausible, _plausible, _plausible, _plausible, _plausible,
)  # fmt: skip
