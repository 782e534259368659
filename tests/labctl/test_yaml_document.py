"""YAML that people write is read; what nobody writes by hand is refused, with its line, before it can do harm."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from labctl.errors import BadInput
from labctl.yaml_document import read


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    memory_mib: int
    title: str | None = None


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    name: str
    inner: Inner | None = None
    many: list[Inner] = []


LAUGHS = "a: &a [lol, lol]\n" + "".join(
    f"{right}: &{right} [{', '.join(['*' + left] * 9)}]\n"
    for left, right in zip("abcdefghijklm", "bcdefghijklmn", strict=True)
)
REFUSED = {
    "alias": ("name: &n x\ninner: *n\n", "x:1: no such YAML in this file (found an anchor or alias, n)"),
    "alias of nothing": ("name: *n\n", "x:1: no such YAML in this file (found an anchor or alias, n)"),
    "a billion laughs": (LAUGHS, "x:1: no such YAML in this file (found an anchor or alias, a)"),
    "itself": ("name: x\nmany: &m\n  - *m\n", "x:2: no such YAML in this file (found an anchor or alias, m)"),
    "tag": ("name: x\ninner: !thing {}\n", "x:2: no such YAML in this file (found a tag, !thing) — leave it out"),
    "python": ("name: !!python/object/apply:os.system [ls]\n", "x:1: no such YAML in this file (found a tag, tag"),
    "brackets": ("name: " + "[" * 100_000, "x:1: no such YAML in this file (found more than 32 levels of nesting)"),
    "dashes": ("- " * 5000 + "x", "x:1: no such YAML in this file (found more than 32 levels of nesting)"),
    "merge": ("<<: {name: x}\n", "x:1: a key is no text — write keys as words"),
    "list as a key": ("name: x\n? [a]\n: 1\n", "x:2: a key is no text — write keys as words"),
    "control character": ("name: x\ninner: \x07\n", "x:2: a character that YAML does not allow"),
    "no such day": ("name: 2026-13-45\n", "x: a value cannot be read: month must be in 1..12 — quote it"),
    "twice": ("name: x\nname: y\n", "x:2: `name` stands twice (found the first in line 1) — keep one of them"),
    "empty": ("", "x: the file is empty (expected a mapping)"),
    "only a comment": ("# nothing\n", "x: the file is empty (expected a mapping)"),
    "two documents": ("name: x\n---\nname: y\n", "x:2: not YAML: but found another document"),
    "unclosed": ('name: "x\n', "x:2: not YAML: found unexpected end of stream"),
    "text": ("hello\n", "x:1: not what belongs here (found 'hello', expected a mapping of keys to values)"),
    "missing": ("inner: {memory_mib: 1}\n", "x:1: a key is missing (expected `name`) — add it; null if unknown"),
    "near": ("name: x\ninner:\n  memry_mib: 1\n  memory_mib: 2\n", "x:3: unknown key `inner.memry_mib` — did you"),
    "near, in a list": ("name: x\nmany:\n- memory_mib: 1\n  titel: a\n", "x:4: unknown key `many.0.titel` — did"),
    "strange": ("name: x\nzzz: 1\n", "x:2: unknown key `zzz` (expected name, inner, many) — take it out"),
    "wrong type": ("name: 3\n", "x:1: `name`: not what belongs here (found 3, expected text)"),
    "wrong mapping": (
        "name: x\ninner: 5\n",
        "x:2: `inner`: not what belongs here (found 5, expected a mapping of keys to values)",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
def test_it_is_refused(text: str, said: str) -> None:
    with pytest.raises(BadInput) as refused:
        read(text, "x", Outer)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


@given(st.text(alphabet=st.sampled_from("ab:-[]{}&*!?|>#'\"\n \t%@`,<=\x00é\ufeff0.~"), max_size=60))
def test_whatever_is_written_there_is_an_answer(text: str) -> None:
    try:
        found = read(text, "x", Outer)
    except BadInput as refused:
        assert str(refused).startswith("x")  # noqa: PT017 - most text is refused, and some is not
    else:
        assert isinstance(found, Outer)


def test_what_people_write_is_read() -> None:
    text = "# a comment\nname: 'x'\ninner: {memory_mib: 1}\nmany:\n  - memory_mib: 2\n    title: a & b * c!\n"
    found = read(text, "x", Outer)
    assert (found.name, found.many[0].title) == ("x", "a & b * c!")
