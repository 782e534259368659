"""One file over HTTP into a part of it that may be there already, whatever the server does in the meantime."""

from __future__ import annotations

import errno
import http.client
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from labctl.errors import Failed
from labctl.model_store.request import WantedFile

# The next pull goes on where this one gives up, so nobody has to wait for a server that is down for the night.
ATTEMPTS = 6
LONGEST_WAIT_SECONDS = 300.0
_TIMEOUT_SECONDS = 60.0
_CHUNK_BYTES = 1024**2
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
_TOLD = ("X-Error-Code", "X-Error-Message", "Retry-After")


@dataclass(frozen=True)
class Answer:
    """What a server said in place of the file: status, and the headers that explain it."""

    status: int
    headers: dict[str, str]


class Refused(Failed):
    """The server does not give the file. answer: what it said."""

    def __init__(self, url: str, answer: Answer) -> None:
        super().__init__(
            "the server does not give this file",
            where=plain(url),
            found=f"HTTP {answer.status}",
            hint=_HINTS.get(answer.status, "run the same command again: it goes on from here"),
        )
        self.answer = answer


_HINTS = {
    401: "it wants a login, which is not asked for here: fetch the file yourself, then --from FILE",
    403: "it wants a login, which is not asked for here: fetch the file yourself, then --from FILE",
    404: "is the address right?",
    410: "is the address right?",
}


class _Passing(Exception):
    """May be over in a moment. Kept apart from what it will be told as when it is not."""

    def __init__(self, told: Failed, wait_seconds: float | None = None) -> None:
        super().__init__(str(told))
        self.told, self.wait_seconds = told, wait_seconds


class Downloader:
    """Downloads for one pull. on_bytes: called with how many bytes of the file are there; on_note: what is waited for.

    token: goes to token_for, scheme and host, and nowhere else.
    """

    def __init__(
        self,
        token: str | None = None,
        token_for: str | None = None,
        *,
        on_bytes: Callable[[int], object] = lambda _: None,
        on_note: Callable[[str], object] = lambda _: None,
        wait: Callable[[float], object] = time.sleep,
    ) -> None:
        self._token, self._token_for = token, token_for
        self._on_bytes, self._on_note, self._wait = on_bytes, on_note, wait
        self._opener = urllib.request.build_opener(_Redirects(self))

    def fetch(self, file: WantedFile, part: Path) -> None:
        """Make `part` the whole file, unverified. What it holds already is not fetched again.

        Raises Failed when the server will not, the disk is full, or nothing comes for long; the part stays.
        """
        attempt = 0
        while True:
            before = part.stat().st_size if part.exists() else 0
            if file.bytes is not None and before > file.bytes:
                part.unlink()
                before = 0
            if before == file.bytes:
                part.touch()  # of an empty file nothing ever comes
                return
            try:
                self._once(file, part, before)
            except _Passing as problem:
                moved = part.exists() and part.stat().st_size > before
                attempt = 1 if moved else attempt + 1
                if attempt >= ATTEMPTS:
                    raise problem.told from problem
                seconds = (
                    problem.wait_seconds if problem.wait_seconds is not None else float(2 ** (attempt - 1))
                )
                if seconds > LONGEST_WAIT_SECONDS:
                    raise problem.told from problem
                self._on_note(f"{problem.told.message}; trying again in {seconds:.0f} s")
                self._wait(seconds)
            else:
                return

    def authorize(self, request: urllib.request.Request) -> None:
        """Give the token to the one server that it is for."""
        if self._token and self._token_for and origin(request.full_url) == origin(self._token_for):
            # Not handed on when that server sends us to another one.
            request.add_unredirected_header("Authorization", f"Bearer {self._token}")

    def _once(self, file: WantedFile, part: Path, start: int) -> None:
        assert file.url is not None
        request = urllib.request.Request(  # noqa: S310 - the request's own check lets http and https pass alone
            file.url, headers={"Accept-Encoding": "identity", "User-Agent": "labctl"}
        )
        if start:
            request.add_header("Range", f"bytes={start}-")
        self.authorize(request)
        try:
            response = self._opener.open(request, timeout=_TIMEOUT_SECONDS)
        except urllib.error.HTTPError as error:
            self._not_given(error, file, part, start)
            return
        except (OSError, http.client.HTTPException) as error:
            told = _unreachable(file.url, error)
            if isinstance(getattr(error, "reason", None), ssl.SSLCertVerificationError):
                raise told from error  # it will be no other one in a moment
            raise _Passing(told) from error
        with response:
            self._take(response, file, part, start)

    def _not_given(self, error: urllib.error.HTTPError, file: WantedFile, part: Path, start: int) -> None:
        url = file.url or ""
        if error.code == http.client.REQUESTED_RANGE_NOT_SATISFIABLE and start:
            if file.bytes is None and error.headers.get("Content-Range") == f"bytes */{start}":
                return  # it was whole already; nobody had said how large it is
            part.unlink()  # it is of another file
            raise _Passing(Refused(url, _answer(error.code, error.headers)), 0.0) from error
        refused = Refused(url, _answer(error.code, error.headers))
        if error.code not in _PASSING:
            raise refused from error
        asked = error.headers.get("Retry-After", "").strip()
        raise _Passing(refused, float(asked) if asked.isdecimal() and len(asked) < 7 else None) from error

    def _take(self, response: Any, file: WantedFile, part: Path, start: int) -> None:
        # 200: the server ignores ranges. What is there already is passed by, so that it still gets further each time.
        to_pass = start if response.status == 200 else 0
        size = _size(response, start - to_pass)
        if response.status == 206 and not response.headers.get("Content-Range", "").startswith(
            f"bytes {start}-"
        ):
            part.unlink(missing_ok=True)
            raise _Passing(_other_part(file, response.headers.get("Content-Range", "")), 0.0)
        if file.bytes is not None and size is not None and size != file.bytes:
            raise Failed(
                "the server has another file than was asked for",
                where=plain(file.url or ""),
                found=f"{size} bytes",
                expected=f"{file.bytes} bytes",
                hint="it may have changed a moment ago: run the same command again",
            )
        with part.open("ab") as out:
            end = self._copy(response, file, out, start, to_pass)
        expected = file.bytes if file.bytes is not None else size
        if expected is not None and end < expected:
            raise _Passing(_cut(file, end, expected))

    def _copy(self, response: Any, file: WantedFile, out: IO[bytes], at: int, to_pass: int) -> int:
        while chunk := _read(response, file):
            new = chunk[to_pass:]
            to_pass = max(0, to_pass - len(chunk))
            written(out, new)
            at += len(new)
            self._on_bytes(at)
        return at


def _read(response: Any, file: WantedFile) -> bytes:
    try:
        chunk: bytes = response.read(_CHUNK_BYTES)
    except (OSError, http.client.HTTPException) as error:
        raise _Passing(_unreachable(file.url or "", error)) from error
    return chunk


def written(out: IO[bytes], content: bytes) -> None:
    """Write, or raise Failed with what to do about a full disk."""
    try:
        out.write(content)
        out.flush()
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise Failed(
            "the disk is full",
            where=str(out.name),
            found=error.strerror,
            hint="make room (`labctl models list`), then run the same command again: it goes on from here",
        ) from error


def origin(url: str) -> tuple[str, str | None, int | None]:
    """Scheme, host and port: what a token is given to."""
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def plain(url: str) -> str:
    """An address for people and logs: without what may open it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class _Redirects(urllib.request.HTTPRedirectHandler):
    """As the library's own, and within one server the token stays."""

    def __init__(self, downloader: Downloader) -> None:
        self._downloader = downloader

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        new = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # it says HTTPMessage
        if new is not None:
            self._downloader.authorize(new)
        return new


def _size(response: Any, start: int) -> int | None:
    """Of the whole file, by what the server says."""
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _answer(status: int, headers: Message) -> Answer:
    return Answer(status, {name: str(headers[name]) for name in _TOLD if name in headers})


def _unreachable(url: str, error: Exception) -> Failed:
    reason = getattr(error, "reason", None) or error
    return Failed(
        "the server cannot be reached",
        where=plain(url),
        found=(str(reason) or type(error).__name__)[:200],
        hint="is the host online? Then run the same command again: it goes on from here",
    )


def _other_part(file: WantedFile, said: str) -> Failed:
    return Failed(
        "the server sends another part of the file than was asked for",
        where=plain(file.url or ""),
        found=said[:80] or "no Content-Range",
        hint="fetch the file yourself, then --from FILE",
    )


def _cut(file: WantedFile, end: int, expected: int) -> Failed:
    return Failed(
        "the connection breaks again and again",
        where=plain(file.url or ""),
        found=f"{end} of {expected} bytes",
        hint="run the same command again: it goes on from here",
    )
