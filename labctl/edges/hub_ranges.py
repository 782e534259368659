"""The beginning of a file behind a URL, by range requests: as much as the header takes, whatever the server does."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import httpx2
from huggingface_hub.errors import OfflineModeIsEnabled
from huggingface_hub.utils import get_session

from labctl.edges.hub_errors import GO_ON, Answer, is_passing, refusal, seconds_to_wait, unreachable
from labctl.errors import Failed, LabctlError

ATTEMPTS = 3
# Headers of shards have 10 to 100 kB; a tokenizer makes a GGUF header 5 to 15 MB long.
FIRST_STEP_BYTES, LAST_STEP_BYTES = 128 * 1024, 4 * 1024 * 1024
# For all files of a repository together, 200 shards included.
MOST_BYTES = 256 * 1024 * 1024
# A server that sends, but never fast enough to end.
_MOST_SECONDS = 120.0
_TIMEOUT = httpx2.Timeout(10.0, read=30.0)
_CHUNK_BYTES = 64 * 1024


@dataclass
class Budget:
    """What may still be fetched of one repository."""

    left: int = field(default=MOST_BYTES)

    def take(self, n_bytes: int, name: str) -> None:
        """Account for n_bytes that came. Raises `Failed` when it was too much."""
        self.left -= n_bytes
        if self.left < 0:
            raise Failed(
                "this takes more reading than headers do",
                where=name,
                found=f"more than {MOST_BYTES // 1024**2} MiB",
                hint=f"the server may ignore ranges: {GO_ON}",
            )


class _TryAgain(Exception):
    def __init__(self, explained: LabctlError, answer: Answer | None = None) -> None:
        super().__init__(str(explained))
        self.explained, self.answer = explained, answer


class RangeSource:
    """A remote file as a byte source; every request asks for more than the one before, to make few of them."""

    def __init__(
        self,
        name: str,
        url: str,
        size: int,
        headers: Mapping[str, str],
        budget: Budget,
        *,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.name, self.size = name, size
        self._url, self._headers, self._budget, self._wait = url, headers, budget, wait
        self._step = FIRST_STEP_BYTES
        self._start, self._held = 0, b""

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from offset on; fewer only at the end. Raises `BadInput` or `Failed` as the hub's answer is."""
        length = max(0, min(length, self.size - offset))
        at = offset - self._start
        if not 0 <= at <= at + length <= len(self._held):
            wanted = min(max(length, self._step), self.size - offset)
            self._step = min(2 * self._step, LAST_STEP_BYTES)
            self._start, self._held, at = offset, self._fetch(offset, wanted), 0
        return self._held[at : at + length]

    def _fetch(self, start: int, length: int) -> bytes:
        """Goes on where it was cut off, a few times."""
        got = bytearray()
        for attempt in range(1, ATTEMPTS + 1):
            try:
                self._stream(start, length, got)
            except _TryAgain as again:
                if attempt == ATTEMPTS:
                    raise again.explained from again
                self._wait(seconds_to_wait(again.answer, attempt, again.explained))
            else:
                break
        return bytes(got)

    def _stream(self, start: int, length: int, got: bytearray) -> None:
        first = start + len(got)
        headers = {
            **self._headers,
            "Range": f"bytes={first}-{start + length - 1}",
            "Accept-Encoding": "identity",
        }
        try:
            with get_session().stream("GET", self._url, headers=headers, timeout=_TIMEOUT) as response:
                self._take(response, first, length, got)
        except (
            httpx2.ConnectError,
            httpx2.TooManyRedirects,
            httpx2.InvalidURL,
            OfflineModeIsEnabled,
        ) as error:
            raise unreachable(error, self.name, self._endpoint) from error
        except httpx2.RequestError as error:
            raise _TryAgain(unreachable(error, self.name, self._endpoint)) from error
        if len(got) < length:
            raise _TryAgain(self._cut(start + len(got)))

    def _take(self, response: httpx2.Response, first: int, length: int, got: bytearray) -> None:
        answer = Answer(response.status_code, response.headers)
        if answer.status not in (200, 206):
            explained = refusal(answer, self.name, self._endpoint)
            raise _TryAgain(explained, answer) if is_passing(answer) else explained
        # 200: the server ignores ranges, and everything before is passed by.
        to_pass = first if answer.status == 200 else 0
        if answer.status == 206 and not answer.headers.get("Content-Range", "").startswith(f"bytes {first}-"):
            raise Failed(
                "the server sends another part of the file than was asked for",
                where=self.name,
                found=answer.headers.get("Content-Range", "no Content-Range")[:80],
                expected=f"bytes {first}-",
                hint=GO_ON,
            )
        end = time.monotonic() + _MOST_SECONDS
        for chunk in response.iter_bytes(_CHUNK_BYTES):
            self._budget.take(len(chunk), self.name)
            got += chunk[to_pass:]
            to_pass = max(0, to_pass - len(chunk))
            if len(got) >= length:
                del got[length:]
                return
            if time.monotonic() > end:
                raise self._cut(first)

    @property
    def _endpoint(self) -> str:
        parts = urlsplit(self._url)
        return f"{parts.scheme}://{parts.netloc}"

    def _cut(self, at: int) -> Failed:
        return Failed(
            "the connection ends within the header, or is too slow",
            where=self.name,
            found=f"{at} of {self.size} bytes",
            hint=f"try again, or {GO_ON}",
        )
