"""The clients: against the service itself, and against a server that misbehaves on purpose."""

import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import anyio
import pytest
from starlette.testclient import TestClient

from service.client import AsyncClient, Client, Options, Prediction, Refused, Unreachable
from tests import pictures
from tests.processes import Server, serving
from tests.scripted import Refusal, scripted

SEVEN = pictures.png(7)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving(DIGITS_API_KEYS="right", DIGITS_ROOT_PATH="/digits") as server:
        yield server


@pytest.fixture
def service(server: Server) -> Iterator[Client]:
    with Client(f"{server.url}/digits/", api_key="right") as client:
        yield client


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that a client would make; none is made."""
    made: list[float] = []
    monkeypatch.setattr(time, "sleep", made.append)
    return made


def test_it_says_what_the_service_says(service: Client, client: TestClient) -> None:
    answer: dict[str, Any] = client.post("/predict?include=image", content=SEVEN).json()
    prediction = service.predict(SEVEN, Options(image=True))
    assert prediction.digit == answer["digit"] == 7
    assert list(prediction.probabilities or ()) == answer["probabilities"]
    assert (prediction.confidence, prediction.reject) == (answer["confidence"], answer["reject"])
    assert (prediction.decision, prediction.reasons) == (answer["decision"], ())
    assert prediction.image is not None
    assert prediction.image.startswith(b"\x89PNG")


def test_options_reach_the_service(service: Client) -> None:
    assert service.predict(SEVEN, Options(accept_at=1.0)).reasons == ("ambiguous",)
    with pytest.raises(Refused, match="target_error"):
        service.predict(SEVEN, Options(target_error=0.5))


def test_what_cannot_be_read_is_raised(service: Client) -> None:
    with pytest.raises(Refused) as caught:
        service.predict(b"not a picture")
    assert (caught.value.status, caught.value.code) == (422, "invalid_image")
    assert caught.value.request_id


def test_many_come_in_order_and_a_bad_one_harms_no_other(service: Client) -> None:
    missing = Refused("missing", "no such file")
    given = [pictures.png(3), b"not a picture", missing, b"", *(pictures.png(digit) for digit in range(10))]
    results = list(service.predict_many(given, batch_items=3))
    assert [each.digit if isinstance(each, Prediction) else each.code for each in results] == [
        3, "invalid_image", "missing", "invalid_request", *range(10)
    ]  # fmt: skip


def test_a_wrong_key_is_told_at_once(server: Server) -> None:
    with Client(f"{server.url}/digits", api_key="wrong") as client, pytest.raises(Refused) as caught:
        client.predict(SEVEN)
    assert caught.value.status == 401


def test_the_record_of_the_model(service: Client) -> None:
    assert service.model()["name"] == "digits"


def test_it_waits_as_long_as_it_is_asked_to(pauses: list[float]) -> None:
    in_ten_seconds = format_datetime(datetime.now(UTC) + timedelta(seconds=10), usegmt=True)
    refusals = [Refusal(429, retry_after="3"), Refusal(503, retry_after=in_ten_seconds), Refusal(502)]
    with scripted(*refusals) as script, Client(script.url) as client:
        assert client.predict(SEVEN).digit == 7
    assert pauses[0] == 3
    assert 8 <= pauses[1] <= 10
    assert pauses[2] <= 1


def test_pauses_grow_and_end(pauses: list[float]) -> None:
    told: list[float] = []
    with scripted(*[Refusal(503)] * 9) as script:
        client = Client(script.url, tries=8, waiting=lambda failure, seconds: told.append(seconds))
        with client, pytest.raises(Refused, match="told so"):
            client.predict(SEVEN)
        assert len(script.items) == 8
    assert told == pauses
    assert pauses[0] <= 0.25
    assert 4 <= pauses[-1] <= 8


def test_it_does_not_wait_for_hours(pauses: list[float]) -> None:
    with scripted(Refusal(503, retry_after="7200")) as script, Client(script.url) as client, pytest.raises(Refused):
        client.predict(SEVEN)
    assert pauses == []


def test_a_connection_that_breaks_is_made_again(pauses: list[float]) -> None:
    with scripted(Refusal(0)) as script, Client(script.url) as client:
        assert client.predict(SEVEN).digit == 7
    assert len(pauses) == 1


def test_a_connection_that_the_service_closed_meanwhile_costs_no_pause(pauses: list[float]) -> None:
    with scripted() as script, Client(script.url) as client:
        client.predict(SEVEN)
        script.refusals.append(Refusal(0))
        assert client.predict(SEVEN).digit == 7
    assert pauses == []


def test_a_connection_is_used_again() -> None:
    with scripted() as script, Client(script.url) as client:
        for _ in range(5):
            client.predict(SEVEN)
        assert len(script.connections) == 1


def test_a_service_that_is_not_there_is_told(pauses: list[float]) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with Client(f"127.0.0.1:{port}", tries=2) as client, pytest.raises(Unreachable, match="Connection refused"):
        client.predict(SEVEN)
    assert len(pauses) == 1


@pytest.mark.parametrize("url", ["", "ftp://x", "http://", "http://x:port"])
def test_a_bad_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  the message is urllib's own for a bad port
        Client(url)


def test_a_batch_that_is_too_large_for_this_service_is_halved() -> None:
    with scripted(most_items=3) as script, Client(script.url) as client:
        results = list(client.predict_many([SEVEN] * 10, batch_items=10))
    assert [each.digit for each in results if isinstance(each, Prediction)] == [7] * 10
    assert script.items == [10, 5, 2, 3, 5, 2, 3]


def test_batches_keep_to_their_limits() -> None:
    with scripted() as script, Client(script.url) as client:
        list(client.predict_many([bytes(100)] * 10, batch_items=4, parallel=1))
        list(client.predict_many([bytes(100)] * 5 + [bytes(900)], batch_bytes=250, parallel=1))
    assert script.items == [4, 4, 2, 2, 2, 1, 1]


def test_pictures_are_fetched_as_they_are_needed() -> None:
    fetched = 0

    def fetch() -> Iterator[bytes]:
        nonlocal fetched
        for _ in range(1000):
            fetched += 1
            yield SEVEN

    with scripted() as script, Client(script.url) as client:
        results = client.predict_many(fetch(), batch_items=5, parallel=2)
        next(results)
        results.close()
    assert fetched <= 25


@pytest.mark.parametrize("backend", ["asyncio"])
def test_the_asynchronous_client_does_the_same(server: Server, backend: str) -> None:
    async def ask() -> tuple[list[int | None], str]:
        async with AsyncClient(f"{server.url}/digits", api_key="right") as client:
            single = await client.predict(SEVEN)
            many = client.predict_many([pictures.png(digit) for digit in range(10)], batch_items=4)
            digits = [each.digit async for each in many if isinstance(each, Prediction)]
            return [single.digit, *digits], (await client.model())["name"]

    assert anyio.run(ask, backend=backend) == ([7, *range(10)], "digits")


def test_leaving_the_asynchronous_reading_early_ends_it() -> None:
    async def ask(url: str) -> Any:
        async with AsyncClient(url) as client:
            results = client.predict_many([SEVEN] * 1000, batch_items=5)
            first = await anext(results)
            await results.aclose()  # type: ignore[attr-defined]
            return first

    with scripted() as script:
        assert anyio.run(ask, script.url).digit == 7
        assert sum(script.items) < 100


def test_answers_that_are_no_json_are_not_taken(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(100_000)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")

        thread = threading.Thread(target=answer)
        thread.start()
        with (
            Client(f"http://127.0.0.1:{listener.getsockname()[1]}") as client,
            pytest.raises(Unreachable, match="no JSON"),
        ):
            client.predict(b"x")
        thread.join()
    assert pauses == []
