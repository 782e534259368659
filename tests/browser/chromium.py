"""Headless Chromium, spoken to over two pipes with its own protocol: https://chromedevtools.github.io/devtools-protocol/.

Without a driver, a port or a package of Python's: what the tests need is a page at a width, its boxes and its pixels.
"""

import base64
import json
import os
import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

PROGRAM = "chromium"
# --no-sandbox: root has none. --disable-dev-shm-usage: containers have little of it.
_OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
    "--no-first-run",
    "--disable-background-networking",
    "--remote-debugging-pipe",
)
_SECONDS = 60


@dataclass(frozen=True)
class Screen:
    """What a page is shown on. scheme: light or dark. width, height: CSS pixels, one device pixel each."""

    width: int
    scheme: str = "light"
    height: int = 900


class Chromium:
    """One running browser with one tab. Use it as a context manager."""

    def __init__(self, profile: Path) -> None:
        # The browser reads from its descriptor 3 and writes to 4, each message ended by a zero byte.
        theirs_in, self._to = os.pipe()
        self._from, theirs_out = os.pipe()
        self._log = (profile / "log").open("wb")
        self._process = subprocess.Popen(
            [
                *("bash", "-c", f'exec "$@" 3<&{theirs_in} 4>&{theirs_out}', "bash"),
                *(PROGRAM, *_OPTIONS, f"--user-data-dir={profile / 'data'}", "about:blank"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            pass_fds=(theirs_in, theirs_out),
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._unread = b""
        self._number, self._loads = 0, 0
        self._session: str | None = None
        self.failures: list[str] = []

    def __enter__(self) -> Self:
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(_SECONDS)
        for descriptor in (self._to, self._from):
            os.close(descriptor)
        self._log.close()

    def show(self, page: Path, screen: Screen) -> None:
        """Load the page on this screen and wait until it stands."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=screen.width,
            height=screen.height,
            deviceScaleFactor=1,
            mobile=screen.width < 600,
        )
        self.call(
            "Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": screen.scheme}]
        )
        before = self._loads
        self.call("Page.navigate", url=page.as_uri())
        messages = self._messages()
        while self._loads == before:
            next(messages)

    def value(self, expression: str) -> Any:
        """What a JavaScript expression comes to in the page. Raises AssertionError where it throws."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    def picture(self, left: float = 0, top: float = 0, width: float = 0, height: float = 0) -> bytes:
        """That part of the page as PNG, all of it without a width; what is below the window too."""
        clip = {"x": left, "y": top, "width": width, "height": height, "scale": 1}
        asked: dict[str, object] = {"clip": clip} if width else {}
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True, **asked)
        return base64.b64decode(found["data"])

    def print_pages(self) -> bytes:
        """The page as a printer gets it, PDF."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=False)["data"])

    def call(self, method: str, **parameters: object) -> dict[str, Any]:
        """One command and its result. Raises AssertionError with the browser's word where it fails."""
        self._number += 1
        message: dict[str, object] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        for answer in self._messages():
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                break
        result: dict[str, Any] = answer["result"]
        return result

    def _said(self) -> str:
        return Path(self._log.name).read_text(errors="replace")[-2000:]

    def _messages(self) -> Iterator[dict[str, Any]]:
        while True:
            while b"\0" in self._unread:
                first, _, self._unread = self._unread.partition(b"\0")
                message = json.loads(first)
                self._noted(message)
                yield message
            ready, _, _ = select.select([self._from], [], [], _SECONDS)
            read = os.read(self._from, 1 << 20) if ready else b""
            assert read, f"the browser does not answer; it said: {self._said()}"
            self._unread += read

    def _noted(self, message: dict[str, Any]) -> None:
        """Whatever the page asks of a network, and whatever the browser complains of."""
        parameters = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loads += 1
            case "Network.requestWillBeSent":
                url = parameters["request"]["url"]
                if not url.startswith(("file:", "about:")):
                    self.failures.append(f"asks for {url}")
            case "Runtime.exceptionThrown" | "Runtime.consoleAPICalled":
                self.failures.append(json.dumps(parameters))
            case "Log.entryAdded" if parameters["entry"]["level"] == "error":
                self.failures.append(parameters["entry"]["text"])


@contextmanager
def browser(profile: Path) -> Iterator[Chromium]:
    """A browser that keeps everything it writes under `profile`."""
    profile.mkdir(parents=True, exist_ok=True)
    with Chromium(profile) as found:
        yield found
