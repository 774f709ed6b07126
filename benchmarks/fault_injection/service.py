"""The endpoint that translations and judgements ask, in a process of its own. It counts what it answers."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import zlib
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from fault_injection import commands  # noqa: F401 - puts the tests' support on the path

ANSWER_SECONDS = 0.01


def start_service() -> tuple[str, int]:
    """Fork the endpoint; returns its address and its process id."""
    sys.stdout.flush()
    receiving, sending = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid:
        os.close(sending)
        with os.fdopen(receiving) as pipe:
            return pipe.readline().strip(), pid
    with suppress(BaseException):
        _serve(sending, parent)
    os._exit(0)


def _serve(sending: int, parent: int) -> None:
    import threading

    from endpoints import FaultyServer

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.setsid()
    translations = _translations()

    def answer(text: str) -> str:
        time.sleep(ANSWER_SECONDS)
        name, _, rest = text.partition("|")
        if (name, rest) in translations:
            return translations[name, rest]
        return f"Well.\nRating: {1 + zlib.crc32(text.encode()) % 5}"

    server = FaultyServer(answer)
    server.http.handle_error = lambda *_: None  # type: ignore[method-assign]  # clients are killed all the time
    handler = server.http.RequestHandlerClass

    def tell(request: BaseHTTPRequestHandler) -> None:
        server.send(request, 200, json.dumps(server.asked).encode())

    handler.do_GET = tell  # type: ignore[attr-defined]
    threading.Thread(target=server.http.serve_forever, daemon=True).start()
    os.write(sending, f"{server.base_url}\n".encode())
    os.close(sending)
    while os.getppid() == parent:
        time.sleep(0.5)


def _translations() -> dict[tuple[str, str], str]:
    from crosslift.corpora.corpus import Source
    from crosslift.corpora.readers.general import pocket

    source = Source(name="toy", reader="pocket", task="math", languages=("en", "sw", "de"), max_items=12)
    rows = pocket.read(source).rows.rows(named=True)
    names = {"sw": "Swahili", "de": "German"}
    return {
        (names[other["language"]], before["content"]): after["content"]
        for english, *others in zip(*[iter(rows)] * 3, strict=True)
        for other in others
        for before, after in zip(english["messages"], other["messages"], strict=True)
    }
