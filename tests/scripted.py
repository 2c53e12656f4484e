"""A server that answers what a test tells it to, in that order, before it answers like the service."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = {"name": "digits", "version": "0", "sha256": "0" * 64}
SEVEN: dict[str, Any] = {
    "digit": 7,
    "confidence": 1.0,
    "probabilities": [0, 0, 0, 0, 0, 0, 0, 1, 0, 0],
    "reject": 0.0,
    "decision": "accept",
    "reasons": [],
}


@dataclass
class Refusal:
    """One answer that is no reading; status 0 closes the connection instead."""

    status: int
    code: str = "overloaded"
    retry_after: str = ""


@dataclass
class Script:
    """What is still to be answered, and what was asked."""

    refusals: list[Refusal]
    most_items: int = 1000
    url: str = ""
    items: list[int] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    connections: set[Any] = field(default_factory=set)


@contextmanager
def scripted(*refusals: Refusal, most_items: int = 1000) -> Iterator[Script]:
    """A server on a free port; a batch of more than `most_items` is too large for it."""
    script = Script(list(refusals), most_items)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            items = body.count(b'name="files"') or 1
            script.items.append(items)
            script.keys.append(self.headers["Authorization"])
            script.connections.add(self.client_address)
            if script.refusals:
                self.refuse(script.refusals.pop(0))
            elif items > script.most_items:
                self.refuse(Refusal(413, "too_large"))
            elif "batch" in self.path:
                results = [{"index": n, "id": str(n), "prediction": SEVEN, "error": None} for n in range(items)]
                self.answer(200, {"results": results, "model": MODEL})
            else:
                self.answer(200, {**SEVEN, "model": MODEL})

        def refuse(self, refusal: Refusal) -> None:
            if not refusal.status:
                self.close_connection = True
                return
            headers = {"Retry-After": refusal.retry_after} if refusal.retry_after else {}
            self.answer(refusal.status, {"code": refusal.code, "detail": "told so by the test"}, headers)

        def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
            data = json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        script.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield script
        finally:
            server.shutdown()
            thread.join()
