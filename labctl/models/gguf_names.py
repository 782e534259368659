"""What the name of a GGUF file says: its quantization, and which part of a split file it is.

Names: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#gguf-naming-convention; repositories often put each
quantization in a folder of that name.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from labctl.errors import BadInput

MAX_PARTS = 1000
# Where nobody says which: the one that most people run, then what is nearest to it.
PREFERRED = (
    "Q4_K_M", "UD-Q4_K_XL", "Q4_K_XL", "Q4_K_L", "Q4_K_S", "MXFP4", "MXFP4_MOE", "IQ4_XS", "IQ4_NL", "Q4_0", "Q4_1",
    "Q5_K_M", "Q5_K_S", "Q6_K", "Q8_0", "Q3_K_M",
)  # fmt: skip
# llama.cpp's own converter writes F16; projectors are small, so nothing is won by fewer bits.
_PROJECTORS = ("F16", "BF16", "Q8_0", "F32")
_SAME = {"FP16": "F16", "FP32": "F32"}
_PART = re.compile(r"(?P<stem>.+)-(?P<part>\d{5})-of-(?P<count>\d{5})\.gguf", re.IGNORECASE)
_QUANT = re.compile(
    r"(?:^|(?<=[-._/]))((?:UD-)?(?:I?Q|TQ)\d(?:_[A-Z0-9]{1,4})*|BF16|FP?16|FP?32|MXFP4(?:_MOE)?|NVFP4)(?=$|[-./])",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class GgufFile:
    """One model, in one file or in all parts of a split one, in order. quant: as the name has it; empty if it does not.

    label: what to call it among the others: the quantization, or the file where two have the same.
    """

    label: str
    quant: str
    parts: tuple[str, ...]
    projector: bool

    def n_bytes(self, sizes: Mapping[str, int]) -> int:
        """Bytes of all parts."""
        return sum(sizes.get(part, 0) for part in self.parts)


def quant_of(name: str) -> str:
    """The quantization that a file's path names, the innermost one, in capitals; empty where it names none."""
    found = _QUANT.findall(name.removesuffix(".gguf"))
    quant = str(found[-1]).upper() if found else ""
    return _SAME.get(quant, quant)


def gguf_files(names: Iterable[str]) -> tuple[GgufFile, ...]:
    """All GGUF models among these files, by name. A split one has all its parts' names, there or not."""
    found: list[GgufFile] = []
    seen: set[str] = set()
    for name in sorted(names):
        if not name.lower().endswith(".gguf") or "imatrix" in name.lower() or name in seen:
            continue
        parts = parts_beside(name)
        seen.update(parts)
        quant = quant_of(parts[0])
        projector = "mmproj" in name.rsplit("/", 1)[-1].lower()
        taken = quant in {other.quant for other in found if not other.projector}
        found.append(GgufFile(parts[0] if taken or not quant else quant, quant, parts, projector))
    return tuple(found)


def parts_beside(name: str) -> tuple[str, ...]:
    """All parts of the split file that this one belongs to, by name alone; itself where it is whole."""
    split = _PART.fullmatch(name)
    if split is None or not 0 < int(split["part"]) <= int(split["count"]) <= MAX_PARTS:
        return (name,)
    count = int(split["count"])
    return tuple(f"{split['stem']}-{part:05}-of-{count:05}.gguf" for part in range(1, count + 1))


def check_complete(file: GgufFile, sizes: Mapping[str, int], where: str) -> None:
    """Raises `BadInput` that names the parts which are not there."""
    missing = [part for part in file.parts if part not in sizes]
    if missing:
        raise BadInput(
            "a part of this model is missing",
            where=where,
            found=f"{len(file.parts) - len(missing)} of {len(file.parts)} parts",
            expected=", ".join(missing[:3]) + (" …" if len(missing) > 3 else ""),
            hint="fetch the missing part, and keep all parts in one directory",
        )


def choose(files: Sequence[GgufFile], quant: str | None, sizes: Mapping[str, int]) -> GgufFile | None:
    """The one of this quantization (or label); without one the preferred, else the smallest. None: there is none."""
    if quant is not None:
        wanted = quant.upper()
        exact = [each for each in files if wanted in (each.label.upper(), each.quant)]
        return next(iter(exact or [each for each in files if each.quant == f"UD-{wanted}"]), None)
    for name in PREFERRED:
        for each in files:
            if each.quant == name:
                return each
    return min(files, key=lambda each: each.n_bytes(sizes), default=None)


def projector_order(file: GgufFile) -> tuple[int, str]:
    """Sorts projectors: the one that people load first."""
    known = _PROJECTORS.index(file.quant) if file.quant in _PROJECTORS else len(_PROJECTORS)
    return known, file.parts[0]
