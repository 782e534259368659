"""Text under a passphrase: what age itself wrote opens, and what was touched does not."""

import base64
from pathlib import Path

import pytest

from labctl.edges.age_file import decrypted, encrypted
from labctl.errors import BadInput

# Written by age 1.1.1, `age --passphrase --armor`.
BY_AGE = Path(__file__).parents[2] / "cases" / "secrets" / "by_age.age"
FIRST, LAST = "-----BEGIN AGE ENCRYPTED FILE-----\n", "\n-----END AGE ENCRYPTED FILE-----\n"
# So little that a test does not wait for it.
WORK = 4


def rearmored(content: bytes) -> str:
    return FIRST + base64.b64encode(content).decode() + LAST


def bare(text: str) -> bytes:
    return base64.b64decode("".join(text.splitlines()[1:-1]))


def refused(text: str, passphrase: str = "a passphrase") -> str:
    with pytest.raises(BadInput) as said:
        decrypted(text, passphrase, "home.age")
    return str(said.value)


def test_what_age_wrote_opens() -> None:
    text = BY_AGE.read_text()
    assert decrypted(text, "correct horse battery", "by_age.age") == b'{"kept": "by age itself"}\n'


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200000])
def test_there_and_back(size: int) -> None:
    content = bytes(number % 251 for number in range(size))
    text = encrypted(content, "zwölf Boxkämpfer", WORK)
    assert text.isascii()
    assert max(map(len, text.splitlines())) == 64
    assert decrypted(text, "zwölf Boxkämpfer", "home.age") == content
    assert decrypted(text.replace("\n", "\r\n"), "zwölf Boxkämpfer", "home.age") == content


def test_no_two_files_are_the_same() -> None:
    assert encrypted(b"one", "a passphrase", WORK) != encrypted(b"one", "a passphrase", WORK)


def test_its_header_says_what_age_expects() -> None:
    lines = bare(encrypted(b"one", "a passphrase", WORK)).split(b"\n")
    assert lines[0] == b"age-encryption.org/v1"
    assert lines[1].startswith(b"-> scrypt ")
    assert lines[1].endswith(b" 4")
    assert [len(each) for each in lines[1:3]] == [34, 43]
    assert lines[3].startswith(b"--- ")


def test_another_passphrase_does_not_open_it() -> None:
    text = encrypted(b"one", "a passphrase", WORK)
    assert refused(text, "another") == "home.age: the passphrase is not the one of this file"


def test_every_byte_that_is_changed_is_noticed() -> None:
    content = bare(encrypted(b"one and two", "a passphrase", WORK))
    for index in range(len(content)):
        changed = bytearray(content)
        changed[index] ^= 1
        assert refused(rearmored(bytes(changed))), index


def test_what_was_cut_off_is_noticed() -> None:
    text = encrypted(b"x" * 70000, "a passphrase", WORK)
    content = bare(text)
    whole_chunk = len(content) - (70000 - 65536) - 16
    for end in (10, 60, 100, 150, whole_chunk, len(content) - 1):
        assert refused(rearmored(content[:end])), end
    assert "its last line is missing" in refused(text[:-40])


@pytest.mark.parametrize(
    "text", ["", "x", "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n", "a\n" * 5]
)
def test_what_is_no_such_file_is_said_to_be_none(text: str) -> None:
    assert "no file that labctl exported" in refused(text)


def test_what_would_only_keep_the_machine_busy_is_refused() -> None:
    content = bare(encrypted(b"one", "a passphrase", WORK))
    assert "damaged" in refused(rearmored(content.replace(b" 4\n", b" 40\n", 1)))
    for_a_key = content.replace(b"-> scrypt", b"-> X25519", 1)
    assert "an age file for keys" in refused(rearmored(for_a_key))
