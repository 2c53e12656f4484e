"""The plain case of /predict is answered before the application is asked, and just as the application would."""

import asyncio
import base64
import json
import re
import socket
from collections.abc import Iterator
from types import SimpleNamespace

import httpx2
import pytest

from service.shortcut import PORTION, Shortcut
from tests import pictures
from tests.processes import Server, get_ready, serving
from tests.service.test_predict import problem

SEVEN = pictures.png(7)
FORM = (
    b'--between\r\nContent-Disposition: form-data; name="file"; filename="7.png"\r\n\r\n%b\r\n--between--\r\n' % SEVEN
)
# A query has the request go the long way.
LONG = "?target_error=0.005"


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        get_ready(running.url)
        yield running


def connect(server: Server) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def request(body: bytes, kind: str = "image/png", target: str = "/predict", extra: str = "") -> bytes:
    head = f"POST {target} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


def answers(connection: socket.socket, count: int) -> list[tuple[int, dict]]:
    """Status and content of the next answers on a connection."""
    found: list[tuple[int, dict]] = []
    data = b""
    while len(found) < count:
        head, separator, rest = data.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if separator and length and len(rest) >= int(length[1]):
            found.append((int(head[9:12]), json.loads(rest[: int(length[1])])))
            data = rest[int(length[1]) :]
            continue
        received = connection.recv(65536)
        assert received, data
        data += received
    return found


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (SEVEN, "image/png"),
        (SEVEN, "application/octet-stream"),
        (pictures.encode(pictures.draw(3, 90), "JPEG"), "image/jpeg"),
        (pictures.blank(), "image/png"),
        (FORM, "multipart/form-data; boundary=between"),
        (json.dumps({"image": base64.b64encode(SEVEN).decode()}).encode(), "application/json"),
        (b"no picture", "image/png"),
        (SEVEN[:100], "image/png"),
        (b"", "image/png"),
        (SEVEN, "text/plain"),
        (b"{", "application/json"),
        (FORM, "multipart/form-data; boundary=another"),
        (FORM, "multipart/form-data"),
    ],
)
def test_both_ways_answer_alike(server: Server, body: bytes, kind: str) -> None:
    with httpx2.Client(headers={"Content-Type": kind, "X-Request-ID": "same"}) as client:
        short, long = (client.post(f"{server.url}/predict{query}", content=body) for query in ("", LONG))
    assert short.status_code == long.status_code
    assert short.content == long.content
    assert list(short.headers) == list(long.headers)
    assert short.headers["X-Request-ID"] == "same"


def test_pipelined_requests_are_answered_in_their_order(server: Server) -> None:
    pictures_of = [pictures.png(digit) for digit in (7, 3, 1)]
    with connect(server) as connection:
        mixed = [
            request(pictures_of[0]),
            request(b"no picture"),
            request(pictures_of[1]),
            request(pictures_of[2], target="/predict" + LONG),
            request(pictures_of[0]),
        ]
        connection.sendall(b"".join(mixed))
        found = answers(connection, 5)
    assert [status for status, _ in found] == [200, 422, 200, 200, 200]
    assert [content.get("digit") for _, content in found] == [7, None, 3, 1, 7]


def test_a_body_in_pieces_is_read_as_one(server: Server) -> None:
    whole = request(SEVEN)
    with connect(server) as connection:
        for end in (40, len(whole) - len(SEVEN), len(whole) - 10, len(whole)):
            start = {40: 0, len(whole) - len(SEVEN): 40}.get(end, 0)
            start = {len(whole) - 10: len(whole) - len(SEVEN), len(whole): len(whole) - 10}.get(end, start)
            connection.sendall(whole[start:end])
            socket.create_connection(connection.getpeername()).close()
        assert answers(connection, 1)[0][1]["digit"] == 7
        connection.sendall(whole)
        assert answers(connection, 1)[0][1]["digit"] == 7


def test_many_are_read_in_turns_and_one_taken_back_in_none(monkeypatch: pytest.MonkeyPatch) -> None:
    in_flight: list[int] = []
    turns: list[int] = []
    metrics = SimpleNamespace(in_flight=SimpleNamespace(add=in_flight.append))
    shortcut = Shortcut(SimpleNamespace(refusable={}, metrics=metrics))
    monkeypatch.setattr(shortcut, "_read", lambda portion: turns.append(len(portion)))

    async def ask() -> None:
        callers = [object() for _ in range(2 * PORTION + 7)]
        for number, caller in enumerate(callers):
            shortcut.add(caller, {}, b"%d" % number, 0.0)
        assert shortcut.take_back(callers[3]) == b"3"
        await asyncio.sleep(0)
        assert turns == [PORTION]  # others had their turn before the next are read
        while len(shortcut):
            await asyncio.sleep(0)

    asyncio.run(ask())
    assert turns == [PORTION, PORTION, 6]
    assert sum(in_flight) == 0


def test_who_left_before_the_answer_harms_nobody(server: Server) -> None:
    for _ in range(20):
        with connect(server) as connection:
            connection.sendall(request(SEVEN))
    assert httpx2.post(f"{server.url}/predict", content=SEVEN).json()["digit"] == 7


def test_a_connection_that_shall_end_is_ended(server: Server) -> None:
    with connect(server) as connection:
        connection.sendall(request(SEVEN, extra="Connection: close\r\n"))
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200")


def test_a_fault_in_the_joined_run_is_answered_and_logged_once_for_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """The shortcut hands on what it could not answer; here to a stand-in for the connection."""
    import asyncio

    from service.app import create_app
    from service.settings import Settings
    from service.shortcut import Shortcut

    class Caller:
        answered = handed_on = b""

        def is_waiting(self) -> bool:
            return not (self.answered or self.handed_on)

        def answer(self, head: bytes, body: bytes) -> None:
            self.answered = body

        def go_long(self, body: bytes) -> None:
            self.handed_on = body

    async def ask(callers: list[Caller]) -> None:
        app = create_app(Settings.from_env())
        async with app.router.lifespan_context(app) as state:
            shortcut: Shortcut = state["shortcut"]
            classifier = shortcut.state.reader.classifier
            for caller in callers:
                shortcut.add(caller, {b"content-type": b"image/png"}, SEVEN, 0.0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert all(json.loads(caller.answered)["digit"] == 7 for caller in callers)
            monkeypatch.setattr(classifier, "predict", lambda _: 1 / 0)
            for caller in callers:
                caller.answered = b""
                shortcut.add(caller, {b"content-type": b"image/png"}, SEVEN, 0.0)
            await asyncio.sleep(0)
            await asyncio.sleep(0)

    callers = [Caller(), Caller()]
    asyncio.run(ask(callers))
    assert [caller.handed_on for caller in callers] == [SEVEN, SEVEN]


def test_keys_are_asked_for() -> None:
    with serving(DIGITS_API_KEYS="key") as server:
        get_ready(server.url)
        refused = httpx2.post(f"{server.url}/predict", content=SEVEN)
        assert problem(refused)["code"] == "unauthorized"
        assert httpx2.post(f"{server.url}/predict", content=SEVEN, headers={"X-API-Key": "key"}).json()["digit"] == 7
