"""Chromium without a window, driven by its DevTools protocol over a pipe (`--remote-debugging-pipe`): no package and
no port is needed. Messages are JSON, each ended by a zero byte, written to descriptor 3 and read from descriptor 4."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-dev-shm-usage", "--disable-default-apps", "--remote-debugging-pipe",
)  # fmt: skip


def find_browser() -> str | None:
    """The first Chromium of this machine."""
    return next((found for name in BROWSERS if (found := shutil.which(name))), None)


class Page:
    """One tab."""

    def __init__(self, browser: Browser, session: str) -> None:
        self._browser = browser
        self._session = session
        self.requests: list[str] = []
        """Addresses that the page asked for."""
        self.problems: list[str] = []
        """Exceptions of scripts, errors of the console and what the Content-Security-Policy refused."""

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the protocol for this tab."""
        return self._browser.call(method, session=self._session, **parameters)

    def open(self, address: str) -> None:
        """Open an address and wait until it is loaded."""
        self.call("Page.navigate", url=address)
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'")

    def value(self, expression: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        found = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']}")
        return found["result"].get("value")

    def wait(self, expression: str, seconds: float = 20.0) -> Any:
        """The value of an expression as soon as it is true."""
        until = time.monotonic() + seconds
        while not (found := self.value(expression)):
            assert time.monotonic() < until, f"never true: {expression}"
            time.sleep(0.1)
        return found

    def resize(self, width: int, height: int = 900) -> None:
        """Set the size of the window in pixels."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def press(self, key: str, code: int, text: str = "") -> None:
        """Press a key; `code`: its virtual key code."""
        about = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **about, **({"text": text} if text else {}))
        self.call("Input.dispatchKeyEvent", type="keyUp", **about)

    def picture(self, file: Path, *, full: bool = False) -> None:
        """Write a PNG of the window, or of the whole page."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=full)
        file.write_bytes(base64.b64decode(found["data"]))

    def pdf(self) -> bytes:
        """The page as it is printed."""
        return base64.b64decode(self.call("Page.printToPDF", printBackground=True)["data"])


class Browser:
    """A running Chromium. Use `browser`."""

    def __init__(self, process: subprocess.Popen[bytes], write: int, read: int) -> None:
        self._process = process
        self._write = write
        self._read = read
        self._buffer = b""
        self._number = 0
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """A new tab that records requests and problems."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self._pages[session] = Page(self, session)
        for domain in ("Page", "Runtime", "Network", "Log"):
            page.call(f"{domain}.enable")
        return page

    def call(self, method: str, *, session: str | None = None, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its answer."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if session is not None:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            found = self._receive()
            if found.get("id") == self._number:
                assert "error" not in found, f"{method}: {found['error']}"
                return dict(found["result"])
            self._note(found)

    def _receive(self, seconds: float = 60.0) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], seconds)
            assert ready, "Chromium does not answer"
            part = os.read(self._read, 1 << 20)
            assert part, "Chromium has exited"
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return dict(json.loads(text))

    def _note(self, event: dict[str, Any]) -> None:
        page = self._pages.get(event.get("sessionId", ""))
        if page is None:
            return
        about = event.get("params", {})
        if event["method"] == "Network.requestWillBeSent":
            page.requests.append(about["request"]["url"])
        if event["method"] == "Runtime.exceptionThrown":
            page.problems.append(str(about["exceptionDetails"]))
        if event["method"] == "Log.entryAdded" and about["entry"]["level"] == "error":
            page.problems.append(about["entry"]["text"] + " " + about["entry"].get("url", ""))
        if event["method"] == "Runtime.consoleAPICalled" and about["type"] == "error":
            page.problems.append(str(about["args"]))


@contextlib.contextmanager
def browser(scratch: Path) -> Iterator[Browser]:
    """Start Chromium, and end it afterwards. `scratch`: an empty folder for its profile."""
    command = find_browser()
    assert command is not None
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()
    prepare: Callable[[], None] = lambda: (os.dup2(to_read, 3), os.dup2(from_write, 4), None)[2]  # noqa: E731
    # The copies must not already be 3 and 4, or the second dup2 would close the first.
    to_read, from_write = (_moved(descriptor) for descriptor in (to_read, from_write))
    process = subprocess.Popen(
        [command, *OPTIONS, f"--user-data-dir={scratch}", "about:blank"],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=prepare, pass_fds=(3, 4), start_new_session=True,
    )  # fmt: skip
    os.close(to_read)
    os.close(from_write)
    found = Browser(process, to_write, from_read)
    try:
        yield found
    finally:
        with contextlib.suppress(AssertionError, OSError):
            found.call("Browser.close")
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        os.close(to_write)
        os.close(from_read)


def _moved(descriptor: int) -> int:
    import fcntl

    higher = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return higher
