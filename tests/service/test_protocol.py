"""The door: heads that never end, and refusals before a task is made."""

import asyncio
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx2
import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from service.app import create_app
from service.protocol import GuardedProtocol
from service.settings import Settings
from tests import pictures
from tests.processes import Server, get_ready, serving
from tests.service.test_predict import problem

if sys.platform != "win32":
    from service.acceptor import EagerLoop, SharingLoop

SEVEN = pictures.png(7)
POST = f"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(SEVEN)}\r\n"


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


@contextmanager
def full(server: Server) -> Iterator[None]:
    """A service that works on one request at a time has one that takes long."""
    large = pictures.encode(pictures.draw(7, 400).resize((4000, 4000)))
    body = pictures.archive({f"{index}.png": large for index in range(100)})
    with connect(server) as holder:
        head = (
            f"POST /predict/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/zip\r\nContent-Length: {len(body)}"
        )
        holder.sendall(f"{head}\r\n\r\n".encode() + body)
        for _ in range(500):
            if httpx2.post(f"{server.url}/predict/field", content=SEVEN).status_code == 429:
                break
        yield
        assert not select.select([holder], [], [], 0)[0], "it is still at work"


def test_a_head_that_never_ends_is_cut_off_by_size() -> None:
    with serving() as server, connect(server) as connection:
        connection.sendall(b"POST /predict HTTP/1.1\r\nHost: x\r\n")
        try:
            for index in range(100):
                connection.sendall(b"X-%d: " % index + b"a" * 2000 + b"\r\n")
            answer = connection.recv(65536)
        except ConnectionError:
            answer = b"HTTP/1.1 400"
        assert re.match(rb"HTTP/1.1 400", answer)
        assert httpx2.get(f"{server.url}/health/live").status_code == 200


def test_a_head_that_never_ends_is_cut_off_by_time() -> None:
    with serving() as server, connect(server) as connection:
        started = time.monotonic()
        connection.sendall(b"GET /health/live HTTP/1.1\r\n")
        assert connection.recv(100) == b""
        assert 5 < time.monotonic() - started < 20


def test_beyond_what_may_be_in_flight_readings_are_refused_at_the_door_and_probes_are_not() -> None:
    with serving(DIGITS_MAX_IN_FLIGHT="1") as server, httpx2.Client() as client:
        get_ready(server.url)
        with full(server):
            before = refusals(client.get(f"{server.url}/metrics").text)
            for _ in range(3):
                refused = client.post(f"{server.url}/predict", content=SEVEN, headers={"X-Request-ID": "kept"})
                assert problem(refused)["code"] == "overloaded"
                assert refused.headers["X-Request-ID"] == "kept"
                assert int(refused.headers["Retry-After"]) >= 1
            assert client.post(f"{server.url}/predict", content=b"x" * 3_000_000).status_code == 429
            assert client.get(f"{server.url}/health/ready").status_code == 200
            metrics = client.get(f"{server.url}/metrics").text
        assert refusals(metrics) == before + 4
        assert re.search(r'^http_requests_total\{method="POST",route="/predict",status="429"\} 4\.0$', metrics, re.M)
        assert read_once_there_is_room(server)["digit"] == 7


def refusals(metrics: str) -> float:
    found = re.search(r'^digit_requests_rejected_total\{code="overloaded"\} (.+)$', metrics, re.M)
    return float(found[1]) if found else 0.0


def read_once_there_is_room(server: Server) -> dict[str, object]:
    """Who left is noticed when the picture at hand is read."""
    for _ in range(100):
        answer = httpx2.post(f"{server.url}/predict", content=SEVEN)
        if answer.status_code != 429:
            break
        time.sleep(0.1)
    content: dict[str, object] = answer.json()
    return content


def test_a_refused_sender_who_asked_first_does_not_send() -> None:
    with serving(DIGITS_MAX_IN_FLIGHT="1") as server:
        get_ready(server.url)
        with full(server), connect(server) as asking:
            asking.sendall(f"{POST}Expect: 100-continue\r\n\r\n".encode())
            answer = b"".join(iter(lambda: asking.recv(65536), b""))
            assert answer.startswith(b"HTTP/1.1 429")
            assert b"connection: close" in answer
            assert b"100 Continue" not in answer


@pytest.mark.parametrize("sent", [0, 50])
def test_slow_senders_keep_no_place_from_others(sent: int) -> None:
    with serving(DIGITS_MAX_IN_FLIGHT="1") as server, ExitStack() as stack:
        get_ready(server.url)
        slow = [stack.enter_context(connect(server)) for _ in range(20)]
        for connection in slow:
            connection.sendall(f"{POST}\r\n".encode() + SEVEN[:sent])
        for _ in range(10):
            assert httpx2.post(f"{server.url}/predict", content=SEVEN).json()["digit"] == 7
        time.sleep(2)
        refused = select.select(slow, [], [], 0)[0]
        assert len(refused) == 20 - 7, "of too many, the last are not waited for"
        for connection in slow:
            if connection in refused:
                assert connection.recv(65536).startswith(b"HTTP/1.1 429")
            else:
                connection.sendall(SEVEN[sent:])
                assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_who_is_still_being_refused_keeps_no_place_from_others() -> None:
    """An answer before the end of the body is followed by a while of reading on."""
    with serving(DIGITS_MAX_IN_FLIGHT="1") as server, ExitStack() as stack:
        get_ready(server.url)
        for _ in range(5):
            wrong = stack.enter_context(connect(server))
            wrong.sendall(b"POST /predict?what=1 HTTP/1.1\r\nHost: x\r\nContent-Length: 9999\r\n\r\nabc")
            assert wrong.recv(65536).startswith(b"HTTP/1.1 400")
        assert httpx2.post(f"{server.url}/predict", content=SEVEN).json()["digit"] == 7


def test_who_sends_no_body_at_all_is_cut_off() -> None:
    with serving() as server, connect(server) as silent:
        get_ready(server.url)
        started = time.monotonic()
        silent.sendall(f"{POST}\r\n".encode())
        assert silent.recv(65536).startswith(b"HTTP/1.1 504")
        assert 5 < time.monotonic() - started < 20


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop's way of accepting")
def test_everybody_who_waits_at_the_door_is_let_in_at_once() -> None:
    """Uvloop alone accepts one connection in each turn, and a busy turn takes long."""
    entered: list[int] = []
    turn = 0

    class Entering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            entered.append(turn)

    async def serve() -> None:
        nonlocal turn
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(50):
                stack.enter_context(socket.create_connection(door.getsockname()))
            server = await loop.create_server(Entering, sock=door)
            while len(entered) < 50:
                turn += 1
                await asyncio.sleep(0)
            server.close()

    with asyncio.Runner(loop_factory=EagerLoop) as runner:
        runner.run(asyncio.wait_for(serve(), 30))
    assert max(entered) - min(entered) < 10


@pytest.mark.skipif(sys.platform == "win32", reason="uvloop is not to be had")
def test_one_of_several_workers_leaves_callers_to_the_others_but_not_for_long() -> None:
    entered = 0

    class Entering(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            nonlocal entered
            entered += 1

    async def serve() -> list[int]:
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            door = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            for _ in range(50):
                stack.enter_context(socket.create_connection(door.getsockname()))
            server = await loop.create_server(Entering, sock=door)
            counts = []
            while entered < 50:
                await asyncio.sleep(0)
                counts.append(entered)
            server.close()
            return counts

    with asyncio.Runner(loop_factory=SharingLoop) as runner:
        counts = runner.run(asyncio.wait_for(serve(), 30))
    assert counts[4] < 15, "one took all"
    assert counts[-1] == 50


@pytest.mark.skipif(sys.platform != "linux", reason="limits another process, as Linux alone can")
def test_a_service_out_of_descriptors_recovers() -> None:
    import resource

    with serving() as server:
        get_ready(server.url)
        taken = len(list(Path(f"/proc/{server.process.pid}/fd").iterdir()))
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (taken + 8, taken + 8))
        with ExitStack() as stack:
            for _ in range(40):
                stack.enter_context(connect(server))
            time.sleep(0.5)
        assert httpx2.post(f"{server.url}/predict", content=SEVEN, timeout=30).json()["digit"] == 7


class Recorder(asyncio.Transport):
    """Notes when what was written, and when it was closed."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[float, str]] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.events.append((time.monotonic(), bytes(data[9:12]).decode()))

    def close(self) -> None:
        self.events.append((time.monotonic(), "closed"))

    def is_closing(self) -> bool:
        return bool(self.events) and self.events[-1][1] == "closed"


def test_who_is_refused_again_and_again_may_be_silent_for_as_long_as_after_the_first_time() -> None:
    """One timer serves all refusals of a connection."""

    async def refuse() -> list[tuple[float, str]]:
        app = create_app(Settings())
        config = Config(app, timeout_keep_alive=1, log_config=None)
        config.load()
        async with app.router.lifespan_context(app) as state:
            transport = Recorder()
            protocol = GuardedProtocol(config=config, server_state=ServerState(), app_state=state)
            protocol.connection_made(transport)
            state["service"].admission.requests = state["service"].admission.max_requests
            for _ in range(3):
                protocol.data_received(POST.encode() + b"\r\n" + SEVEN)
                await asyncio.sleep(0.6)
            while not transport.is_closing():
                await asyncio.sleep(0.02)
            return transport.events

    events = asyncio.run(asyncio.wait_for(refuse(), 30))
    assert [what for _, what in events] == ["429", "429", "429", "closed"]
    assert 0.9 < events[-1][0] - events[-2][0] < 2
