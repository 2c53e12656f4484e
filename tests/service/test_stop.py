"""Stopping: unready at once, everything that still comes is answered, status 0."""

import asyncio
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator

import httpx2
import pytest

from service.app import create_app
from service.settings import Settings
from tests import pictures
from tests.processes import Server, get_ready, serving

SEVEN = pictures.png(7)
linux = pytest.mark.skipif(sys.platform != "linux", reason="sends signals to workers found in /proc")


class Load:
    """Requests one after the other over fresh and kept connections, until stopped; counts what went wrong."""

    def __init__(self, url: str) -> None:
        self.answered, self.failures = 0, list[str]()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(url,)) for _ in range(4)]
        for thread in self._threads:
            thread.start()

    def _run(self, url: str) -> None:
        with httpx2.Client(timeout=10) as client:
            while not self._stop.is_set():
                try:
                    response = client.post(f"{url}/predict", content=SEVEN)
                    if response.status_code != 200:
                        self.failures.append(response.text)
                except httpx2.TransportError as error:
                    self.failures.append(repr(error))
                self.answered += 1

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stopping_service_is_unready_at_once_and_serves_on_for_the_drain(number: signal.Signals) -> None:
    with serving(DIGITS_DRAIN_SECONDS="1.5") as server:
        get_ready(server.url)
        server.process.send_signal(number)
        time.sleep(0.3)
        started = time.monotonic()
        ready = httpx2.get(f"{server.url}/health/ready")
        assert ready.status_code == 503
        assert ready.headers["Retry-After"]
        assert httpx2.get(f"{server.url}/health/live").status_code == 200
        response = httpx2.post(f"{server.url}/predict", content=SEVEN)
        assert response.json()["digit"] == 7
        assert response.headers["Connection"] == "close"
        assert server.process.wait(10) == 0
        assert 0.7 < time.monotonic() - started < 4


def test_a_request_on_a_connection_that_came_last_is_answered() -> None:
    """It was let in before the socket was closed, and sends what it has to say a moment later."""
    with serving(DIGITS_DRAIN_SECONDS="0.2") as server:
        get_ready(server.url)
        host, port = server.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as late:
            time.sleep(0.2)
            server.process.terminate()
            time.sleep(0.5)
            late.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(SEVEN) + SEVEN)
            answer = b"".join(iter(lambda: late.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer.lower()
        assert server.process.wait(10) == 0


def test_a_request_in_flight_is_finished_after_the_drain() -> None:
    with serving() as server:
        host, port = server.url.removeprefix("http://").split(":")
        head = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(SEVEN)}\r\n\r\n"
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head.encode() + SEVEN[:100])
            time.sleep(0.2)
            server.process.terminate()
            time.sleep(0.5)
            connection.sendall(SEVEN[100:])
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 200")
        assert server.process.wait(10) == 0


def test_a_second_signal_ends_it_at_once() -> None:
    with serving(DIGITS_DRAIN_SECONDS="600") as server:
        get_ready(server.url)
        server.process.terminate()
        time.sleep(0.3)
        server.process.terminate()
        assert server.process.wait(60) == 0


@linux
def test_of_several_workers_none_is_ready_a_moment_after_the_signal() -> None:
    with serving(DIGITS_WORKERS="2", DIGITS_DRAIN_SECONDS="3") as server:
        get_ready(server.url)
        time.sleep(0.6)  # the watching process has just looked
        server.process.terminate()
        time.sleep(0.2)
        for _ in range(20):
            assert httpx2.get(f"{server.url}/health/ready").status_code == 503
        assert server.process.wait(60) == 0


@linux
def test_workers_drain_together_and_a_second_signal_ends_them_at_once() -> None:
    with serving(DIGITS_WORKERS="2", DIGITS_DRAIN_SECONDS="1") as server:
        get_ready(server.url)
        server.process.terminate()
        assert server.process.wait(60) == 0
    with serving(DIGITS_WORKERS="2", DIGITS_DRAIN_SECONDS="600") as server:
        get_ready(server.url)
        server.process.terminate()
        time.sleep(1.5)
        server.process.terminate()
        assert server.process.wait(60) == 0


@linux
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_stopped_loses_no_request_and_is_replaced(number: signal.Signals) -> None:
    # Longer than a caller may pause between two requests on a connection that it keeps.
    with serving(DIGITS_WORKERS="2", DIGITS_DRAIN_SECONDS="2") as server:
        get_ready(server.url)
        load = Load(server.url)
        time.sleep(0.5)
        [stopped, other] = server.children()
        os.kill(stopped, number)
        await_replacement(server, stopped, other)
        time.sleep(0.5)
        load.stop()
        assert not load.failures
        assert load.answered > 50


def await_replacement(server: Server, stopped: int, other: int) -> None:
    for _ in range(200):
        children = server.children()
        if stopped not in children and other in children and len(children) == 2:
            return
        time.sleep(0.1)
    raise AssertionError(f"worker {stopped} was not replaced: {server.children()}")


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell has what runs in the background ignore Ctrl-C, and then there is nothing to give back."""
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, inherited)


@pytest.mark.usefixtures("_interruptible")
def test_an_application_that_ended_leaves_signals_as_they_were() -> None:
    """In a program of one's own, too, Ctrl-C takes its usual way afterwards."""
    numbers = (signal.SIGTERM, signal.SIGINT)
    before = [signal.getsignal(number) for number in numbers]

    async def serve() -> None:
        app = create_app(Settings())
        async with app.router.lifespan_context(app):
            assert signal.getsignal(signal.SIGINT) is not before[1]

    asyncio.run(serve())
    assert [signal.getsignal(number) for number in numbers] == before
