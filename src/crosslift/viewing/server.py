"""The server of `crosslift view`: one page, what changed, and the files of the report, for this machine only.

Any web page that a person visits can send requests to 127.0.0.1, and by DNS rebinding under a name of its own. So the
server answers only requests whose Host header is its own address, refuses requests that a page of another site sent,
answers GET and HEAD only, and serves nothing but a list of routes and files of the report.
"""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from crosslift.errors import CrossliftError, StoreError
from crosslift.viewing.defaults import PORT
from crosslift.viewing.observer import Observer
from crosslift.viewing.page import render

ADDRESS = "127.0.0.1"
SECONDS = 30.0
"""Time after which a silent connection is closed."""
CONTENT_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".parquet": "application/vnd.apache.parquet",
}
"""Files of a report that are served, by their ending."""
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_NO_SCRIPTS = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox"

log = logging.getLogger(__name__)


class ViewServer(ThreadingHTTPServer):
    """Serves a study on 127.0.0.1.

    Args:
        observer: follows the study.
        port: the port; 0 for any free one.

    Raises:
        StoreError: the port is in use.
    """

    daemon_threads = True

    def __init__(self, observer: Observer, *, port: int = PORT) -> None:
        self.observer = observer
        try:
            super().__init__((ADDRESS, port), _Handler)
        except OSError as error:
            raise StoreError(
                f"Port {port} cannot be used ({error.strerror}). Choose another one with --port, or 0 for any free one."
            ) from error

    @property
    def address(self) -> str:
        """Address of the page."""
        return f"http://{ADDRESS}:{self.server_port}/"

    @property
    def hosts(self) -> frozenset[str]:
        """Host headers that are answered."""
        return frozenset(f"{name}:{self.server_port}" for name in (ADDRESS, "localhost"))

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error of one request; a closed browser tab is none."""
        log.debug("a request failed", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: ViewServer
    timeout = SECONDS
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a reply waits for the receipt of its headers
    server_version = "crosslift"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a request."""
        if self.headers.get_all("Host") is None or self.headers.get_all("Host") != [self.headers["Host"]]:
            self._refuse(HTTPStatus.BAD_REQUEST, "One Host header is needed.")
            return
        if self.headers["Host"].lower() not in self.server.hosts:
            self._refuse(HTTPStatus.FORBIDDEN, f"This server answers only at {self.server.address}")
            return
        site = self.headers.get("Sec-Fetch-Site", "none")
        if site not in ("none", "same-origin") and self.headers.get("Sec-Fetch-Mode") != "navigate":
            self._refuse(HTTPStatus.FORBIDDEN, "Pages of other sites cannot read this server.")
            return
        try:
            self._route()
        except CrossliftError as error:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, str(error))

    do_HEAD = do_GET  # noqa: N815 - the name that http.server looks for

    def _route(self) -> None:
        parts = urlsplit(self.path)
        query = parse_qs(parts.query, max_num_fields=4)
        observer = self.server.observer
        if parts.path == "/":
            self._page()
        elif parts.path == "/changes":
            self._json(observer.changes(query.get("since", [""])[0]))
        elif parts.path == "/run":
            found = observer.details(query.get("name", [""])[0])
            if found is None:
                self._refuse(HTTPStatus.NOT_FOUND, "The study has no such run.")
            else:
                self._json(found)
        else:
            self._file(unquote(parts.path))

    def _page(self) -> None:
        graph, version = self.server.observer.graph, self.server.observer.report_version()
        report = ""
        if version:
            try:
                report = (graph.store.report_folder / "index.html").read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError):  # being replaced, or damaged
                report = ""
        page = render(graph.study, report, report_version=version)
        self._answer(HTTPStatus.OK, page.html.encode(), CONTENT_TYPES[".html"], policy=page.policy)

    def _file(self, path: str) -> None:
        """Answer with a file of the report."""
        folder = self.server.observer.graph.store.report_folder
        found = report_file(folder, path.removeprefix("/"))
        if found is None:
            self._refuse(HTTPStatus.NOT_FOUND, "There is no such page.")
            return
        try:
            content = found.read_bytes()
        except OSError:
            self._refuse(HTTPStatus.NOT_FOUND, "The file cannot be read.")
            return
        self._answer(HTTPStatus.OK, content, CONTENT_TYPES[found.suffix])

    def _json(self, value: Any) -> None:
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self._answer(HTTPStatus.OK, text.encode("utf-8", errors="replace"), "application/json")

    def _refuse(self, status: HTTPStatus, why: str) -> None:
        self.close_connection = True
        self._answer(status, (why + "\n").encode(), "text/plain; charset=utf-8")

    def _answer(self, status: HTTPStatus, content: bytes, content_type: str, *, policy: str = _NO_SCRIPTS) -> None:
        self.send_response(status)
        headers = {**_HEADERS, "Content-Security-Policy": policy, "Content-Type": content_type}
        for name, value in (headers | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: Any) -> None:
        """Requests are not logged: a page asks every two seconds."""


def report_file(folder: Path, name: str) -> Path | None:
    """Find a file of a report.

    Args:
        folder: the folder of the report.
        name: path relative to the folder, as in the address.

    Returns:
        The file; None if it does not exist, is outside the folder (also by a link), or is not of a served kind.
    """
    parts = name.split("/")
    if "\0" in name or "\\" in name or any(part in ("", ".", "..") or part.startswith(".") for part in parts):
        return None
    file = folder.joinpath(*parts)
    try:
        inside = file.resolve(strict=True).is_relative_to(folder.resolve(strict=True))
    except (OSError, RuntimeError):
        return None
    return file if inside and file.is_file() and file.suffix in CONTENT_TYPES else None
