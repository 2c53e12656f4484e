"""Traces go where OpenTelemetry's variables say, and nowhere without them."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from service.errors import SettingError
from service.settings import traces_are_wanted
from tests import pictures
from tests.processes import serving


class Collector(BaseHTTPRequestHandler):
    """Takes what is sent to it, as an OpenTelemetry collector would."""

    received: list[tuple[str, bytes]]

    def do_POST(self) -> None:
        self.received.append((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[ThreadingHTTPServer]:
    Collector.received = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


def test_a_request_becomes_a_span_with_its_route_and_a_probe_does_not(collector: ThreadingHTTPServer) -> None:
    pytest.importorskip("opentelemetry.sdk")
    endpoint = f"http://127.0.0.1:{collector.server_port}"
    with serving(OTEL_EXPORTER_OTLP_ENDPOINT=endpoint, OTEL_SERVICE_NAME="digits-test") as server:
        assert httpx2.post(f"{server.url}/predict", content=pictures.png(7)).json()["digit"] == 7
        httpx2.get(f"{server.url}/health/ready")
    [(path, spans)] = Collector.received
    assert path == "/v1/traces"
    assert b"digits-test" in spans
    assert b"POST /predict" in spans
    assert b"/health/ready" not in spans


def test_nothing_is_sent_unless_asked_for() -> None:
    assert not traces_are_wanted({})
    assert not traces_are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "true"})


def test_traces_without_what_sends_them_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(SettingError, match=r"OTEL_EXPORTER_OTLP_ENDPOINT is set, but .*digits\[otel\]"):
        traces_are_wanted({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c"})
