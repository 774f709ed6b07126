"""A small OpenAI-compatible server for tests, that fails on purpose as often as it is told to."""

from __future__ import annotations

import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

FAULTS = ("429", "500", "cut", "malformed", "empty", "slow")


class FaultyServer:
    """Answers with `answer(text)`; every so many requests with a fault, in turn."""

    def __init__(self, answer: Callable[[str], str], *, fault_every: int = 0, key: str | None = None) -> None:
        self.answer = answer
        self.fault_every = fault_every
        self.key = key
        self.asked: Counter[str] = Counter()
        """Text -> how often it was answered."""
        self.faults: Counter[str] = Counter()
        self.models: set[str] = set()
        self._lock = threading.Lock()
        self._number = 0
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True  # a reply is two packets, the second of which would wait for 40 ms

            def do_POST(self) -> None:
                with suppress(ConnectionError):  # who gave up waiting hears nothing
                    server.handle(self)

            def handle(self) -> None:
                with suppress(ConnectionError):  # a client that was killed
                    super().handle()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base_url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"

    def handle(self, request: BaseHTTPRequestHandler) -> None:
        body = json.loads(request.rfile.read(int(request.headers["content-length"])))
        if self.key is not None and request.headers["authorization"] != f"Bearer {self.key}":
            return self.send(request, 401, {"error": {"message": "wrong key"}})
        with self._lock:
            self._number += 1
            number = self._number
            self.models.add(body["model"])
        if self.fault_every and number % self.fault_every == 0:
            fault = FAULTS[number // self.fault_every % len(FAULTS)]
            self.faults[fault] += 1
            return self.fail(request, fault)
        text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        answer, finish = self.reply(body, text)
        with self._lock:
            self.asked[str(text)] += 1
        choice = {"index": 0, "finish_reason": finish}
        chat = "messages" in body
        choice |= self.choice(body)
        choice |= {"message": {"role": "assistant", "content": answer}} if chat else {"text": answer}
        return self.send(
            request,
            200,
            {
                "id": "1",
                "object": "chat.completion" if chat else "text_completion",
                "created": 0,
                "model": body["model"],
                "choices": [choice],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            },
        )

    def choice(self, body: dict) -> dict:
        """Further keys of the reply's choice."""
        return {}

    def reply(self, body: dict, text: str) -> tuple[str, str]:
        """Text, and why it ended."""
        return self.answer(text), "stop"

    def fail(self, request: BaseHTTPRequestHandler, fault: str) -> None:
        if fault == "slow":
            time.sleep(1.0)
        if fault in ("cut", "slow"):
            request.close_connection = True
            request.connection.close()
        elif fault == "malformed":
            self.send(request, 200, b'{"choices": [')
        elif fault == "empty":
            self.send(request, 200, {"choices": []})
        else:
            self.send(request, int(fault), {"error": {"message": "busy"}}, {"retry-after": "0"})

    @staticmethod
    def send(
        request: BaseHTTPRequestHandler, status: int, body: dict | bytes, headers: dict[str, str] | None = None
    ) -> None:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request.send_response(status)
        for name, value in (
            {"content-type": "application/json", "content-length": str(len(data))} | (headers or {})
        ).items():
            request.send_header(name, value)
        request.end_headers()
        request.wfile.write(data)


@contextmanager
def serving(
    answer: Callable[[str], str], *, server: type[FaultyServer] = FaultyServer, **settings: object
) -> Iterator[FaultyServer]:
    faulty = server(answer, **settings)  # type: ignore[arg-type]
    thread = threading.Thread(target=faulty.http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield faulty
    finally:
        faulty.http.shutdown()
        faulty.http.server_close()
