"""Text under a passphrase, as age keeps it: what labctl wrote opens with `age --decrypt FILE` where no labctl is.

https://github.com/C2SP/C2SP/blob/main/age.md: a header with the file's own key, wrapped by what scrypt makes of the
passphrase, then ChaCha20-Poly1305 in chunks of 64 KiB; all of it armored as text.
"""

from __future__ import annotations

import base64
import re
import secrets
from collections.abc import Iterator

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from labctl.errors import BadInput

_VERSION = b"age-encryption.org/v1"
_SALT_LABEL = b"age-encryption.org/v1/scrypt"
_FIRST, _LAST = "-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"
_COLUMNS = 64
_KEY_BYTES, _SALT_BYTES, _TAG_BYTES, _CHUNK_BYTES = 16, 16, 16, 65536
WORK_FACTOR = 18
"""log2 of scrypt's N, as age's own: 256 MiB and about a second for each passphrase that is tried."""
_MOST_WORK = 22
"""What age itself opens at most; more is a file that only wants to keep the machine busy."""
_STANZA = re.compile(rb"-> scrypt (?P<salt>[A-Za-z0-9+/]{22}) (?P<work>[1-9][0-9]?)")


def encrypted(content: bytes, passphrase: str, work_factor: int = WORK_FACTOR) -> str:
    """The armored file."""
    file_key, salt = secrets.token_bytes(_KEY_BYTES), secrets.token_bytes(_SALT_BYTES)
    wrapped = _cipher(_from_passphrase(passphrase, salt, work_factor)).encrypt(bytes(12), file_key, None)
    stanza = b"-> scrypt " + _unpadded(salt) + b" " + str(work_factor).encode()
    header = b"\n".join((_VERSION, stanza, _unpadded(wrapped), b"---"))
    nonce = secrets.token_bytes(_KEY_BYTES)
    cipher = _cipher(_derived(file_key, nonce, b"payload"))
    sealed = b"".join(cipher.encrypt(number, chunk, None) for number, chunk in _chunks(content, _CHUNK_BYTES))
    whole = header + b" " + _unpadded(_mac(file_key, header)) + b"\n" + nonce + sealed
    text = base64.b64encode(whole).decode()
    lines = [text[start : start + _COLUMNS] for start in range(0, len(text), _COLUMNS)]
    return "\n".join((_FIRST, *lines, _LAST, ""))


def decrypted(text: str, passphrase: str, where: str) -> bytes:
    """What the file holds. Raises BadInput for a wrong passphrase, and for what is damaged or no such file."""
    whole = _unarmored(text, where)
    salt, work_factor, wrapped, header, mac, payload = _parts(whole, where)
    try:
        file_key = _cipher(_from_passphrase(passphrase, salt, work_factor)).decrypt(bytes(12), wrapped, None)
    except InvalidTag:
        raise BadInput("the passphrase is not the one of this file", where=where) from None
    try:
        _verify(file_key, header, mac)
        cipher = _cipher(_derived(file_key, payload[:_KEY_BYTES], b"payload"))
        chunks = _chunks(payload[_KEY_BYTES:], _CHUNK_BYTES + _TAG_BYTES)
        return b"".join(cipher.decrypt(number, chunk, None) for number, chunk in chunks)
    except (InvalidSignature, InvalidTag):
        raise _damaged(where, "it was changed or cut off") from None


def _unarmored(text: str, where: str) -> bytes:
    lines = text.strip().splitlines()
    if len(lines) < 3 or lines[0] != _FIRST:
        raise BadInput(
            "this is no file that labctl exported",
            where=where,
            expected=f"a first line {_FIRST}",
            hint="`labctl secrets export FILE` writes one",
        )
    if lines[-1] != _LAST:
        raise _damaged(where, "its last line is missing")
    try:
        return base64.b64decode("".join(lines[1:-1]), validate=True)
    except ValueError:
        raise _damaged(where, "not base64") from None


def _parts(whole: bytes, where: str) -> tuple[bytes, int, bytes, bytes, bytes, bytes]:
    """Salt, work factor, wrapped key, the header that the MAC is of, MAC, payload."""
    version, stanza, body, rest = [*whole.split(b"\n", 3), b"", b"", b""][:4]
    found = _STANZA.fullmatch(stanza)
    if version != _VERSION or found is None:
        raise BadInput(
            "this is no file that labctl exported",
            where=where,
            found="an age file for keys, or of another version",
            expected="one under a passphrase",
        )
    end, _, payload = rest.partition(b"\n")
    mark, _, mac = end.partition(b" ")
    work_factor = int(found["work"])
    if mark != b"---" or len(payload) < _KEY_BYTES + _TAG_BYTES or work_factor > _MOST_WORK:
        raise _damaged(where, "its header cannot be meant so")
    try:
        salt, wrapped, mac = (_padded(each) for each in (found["salt"], body, mac))
    except ValueError:
        raise _damaged(where, "its header cannot be meant so") from None
    return salt, work_factor, wrapped, b"\n".join((version, stanza, body, mark)), mac, payload


def _chunks(content: bytes, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Each with its nonce: a count, and whether it is the last. There is always one."""
    starts = range(0, max(len(content), 1), size)
    for number, start in enumerate(starts):
        is_last = number == len(starts) - 1
        yield number.to_bytes(11, "big") + bytes([is_last]), content[start : start + size]


def _from_passphrase(passphrase: str, salt: bytes, work_factor: int) -> bytes:
    return Scrypt(salt=_SALT_LABEL + salt, length=32, n=1 << work_factor, r=8, p=1).derive(
        passphrase.encode()
    )


def _derived(key: bytes, salt: bytes, purpose: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=purpose).derive(key)


def _mac(file_key: bytes, header: bytes) -> bytes:
    return _hmac(file_key, header).finalize()


def _verify(file_key: bytes, header: bytes, mac: bytes) -> None:
    _hmac(file_key, header).verify(mac)


def _hmac(file_key: bytes, header: bytes) -> HMAC:
    made = HMAC(_derived(file_key, b"", b"header"), SHA256())
    made.update(header)
    return made


def _cipher(key: bytes) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(key)


def _unpadded(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _padded(text: bytes) -> bytes:
    """Raises ValueError also where the last character has bits that count for nothing: there is one way to write it."""
    data = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    if _unpadded(data) != text:
        raise ValueError
    return data


def _damaged(where: str, found: str) -> BadInput:
    return BadInput("the file is damaged", where=where, found=found, hint="take another copy of it")
