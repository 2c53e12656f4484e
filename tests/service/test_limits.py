"""What keeps the service answering: admission, deadlines, joined runs, keys, a proxy in front."""

import asyncio
import time
from contextlib import ExitStack

import numpy as np
import pytest
from starlette.testclient import TestClient

from service.admission import Admission
from service.app import create_app
from service.batching import Batcher
from service.errors import Overloaded
from service.settings import Settings
from tests import pictures
from tests.service.test_predict import problem

SEVEN = pictures.png(7)


def test_requests_beyond_the_limit_are_turned_away_and_let_in_again() -> None:
    admission = Admission(max_requests=2, max_images=10, max_bytes=100)
    with admission.admit(), admission.admit():
        with pytest.raises(Overloaded), admission.admit():
            pass
        assert admission.requests == 2
    with admission.admit():
        assert admission.requests == 1
    assert admission.requests == 0


def test_who_waits_for_a_body_keeps_no_place_and_gets_one_back_if_there_is_one() -> None:
    admission = Admission(max_requests=1, max_images=10, max_bytes=100)
    with admission.admit() as slow:
        slow.wait_for_body()
        with admission.admit(), pytest.raises(Overloaded):
            slow.begin()
        slow.begin()
        with pytest.raises(Overloaded), admission.admit():
            pass
        slow.wait_for_body()
    assert (admission.requests, admission.receiving) == (0, 0)


def test_too_many_waiting_senders_are_a_crowd() -> None:
    admission = Admission(max_requests=1, max_images=10, max_bytes=100)
    with ExitStack() as stack:
        tickets = [stack.enter_context(admission.admit())]
        for _ in range(7):
            tickets[-1].wait_for_body()
            assert not tickets[-1].is_in_a_crowd()
            tickets.append(stack.enter_context(admission.admit()))
        tickets[-1].wait_for_body()
        assert tickets[-1].is_in_a_crowd()


def test_pictures_and_bytes_are_bounded_and_given_back() -> None:
    admission = Admission(max_requests=9, max_images=10, max_bytes=100)
    with admission.admit() as first, admission.admit() as second:
        first.add(images=8, size=60)
        with pytest.raises(Overloaded, match="pictures"):
            second.add(images=3)
        with pytest.raises(Overloaded, match="bytes"):
            second.add(size=41)
        second.add(images=2, size=40)
        assert (admission.images, admission.bytes) == (10, 100)
    assert (admission.images, admission.bytes) == (0, 0)


def test_a_single_large_request_is_let_in_while_nothing_else_is_in_flight() -> None:
    admission = Admission(max_requests=9, max_images=10, max_bytes=100)
    with admission.admit() as large:
        large.add(images=256, size=1000)
        with admission.admit() as other, pytest.raises(Overloaded):
            other.add(images=1)


def test_an_overloaded_service_says_when_to_come_back_and_still_answers_probes() -> None:
    app = create_app(Settings.from_env())
    with TestClient(app) as client:
        client.app_state["service"].admission.requests = 128
        response = client.post("/predict", content=SEVEN)
        assert problem(response)["code"] == "overloaded"
        assert int(response.headers["Retry-After"]) >= 1
        for path in ("/health/live", "/health/ready", "/metrics", "/model"):
            assert client.get(path).status_code == 200
        client.app_state["service"].admission.requests = 0
        assert client.post("/predict", content=SEVEN).status_code == 200


def test_what_was_in_flight_is_given_back_whatever_happens(client: TestClient) -> None:
    for request in ({"content": SEVEN}, {"content": b"text"}, {"content": b""}, {"json": {}}):
        client.post("/predict", **request)
        client.post("/predict/batch", **request)
    admission = client.app_state["service"].admission
    assert (admission.requests, admission.images, admission.bytes) == (0, 0, 0)


def test_a_request_that_takes_too_long_is_ended(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    from service.reader import Reader

    def slow(self: Reader, sources: object, **_: object) -> list:
        time.sleep(0.5)
        return []

    monkeypatch.setattr(Reader, "read", slow)
    started = time.perf_counter()
    response = client.post("/predict/batch", files=[("files", SEVEN)], headers={"X-Request-Timeout-Ms": "100"})
    assert problem(response)["code"] == "deadline_exceeded"
    assert time.perf_counter() - started < 0.45


@pytest.mark.parametrize("value", ["0", "-5", "soon", "1.5", ""])
def test_a_deadline_that_is_no_number_is_refused(client: TestClient, value: str) -> None:
    response = client.post("/predict", content=SEVEN, headers={"X-Request-Timeout-Ms": value})
    assert problem(response)["code"] == "invalid_request"
    assert "X-Request-Timeout-Ms" in response.json()["detail"]


def run_together(batcher: Batcher, digits: list[np.ndarray]) -> list:
    async def together() -> list:
        return await asyncio.gather(*map(batcher.predict, digits), return_exceptions=True)

    return asyncio.run(together())


def fake_predict(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Tells digits apart by their first pixel; 13 breaks the run it is in."""
    if (digits[:, 0, 0] == 13).any():
        raise RuntimeError("a bad digit")
    return np.repeat(digits[:, 0, :1].astype(np.float32), 10, axis=1), np.zeros(len(digits), np.float32)


def test_waiting_digits_are_joined_and_each_gets_its_own_answer() -> None:
    sizes: list[int] = []
    digits = [np.full((28, 28), value, np.uint8) for value in range(10)]
    answers = run_together(Batcher(fake_predict, sizes.append), digits)
    assert sizes == [10]
    assert [answer[0][0] for answer in answers] == list(range(10))


def test_more_than_one_run_holds_are_cut_into_several() -> None:
    sizes: list[int] = []
    run_together(Batcher(fake_predict, sizes.append), [np.zeros((28, 28), np.uint8)] * 150)
    assert sizes == [64, 64, 22]


def test_a_digit_that_breaks_the_run_fails_alone() -> None:
    digits = [np.full((28, 28), value, np.uint8) for value in (11, 12, 13, 14)]
    answers = run_together(Batcher(fake_predict, lambda _: None), digits)
    assert isinstance(answers[2], RuntimeError)
    assert [answer[0][0] for index, answer in enumerate(answers) if index != 2] == [11, 12, 14]


def test_keys_are_asked_for_where_readings_are_made_and_nowhere_else() -> None:
    app = create_app(Settings.from_env(api_keys="old-key, new-key"))
    with TestClient(app) as client:
        for headers in ({}, {"X-API-Key": "wrong"}, {"Authorization": "Bearer wrong"}, {"Authorization": "old-key"}):
            for path in ("/predict", "/predict/batch"):
                response = client.post(path, content=SEVEN, headers=headers)
                assert problem(response)["code"] == "unauthorized"
                assert response.headers["WWW-Authenticate"] == "Bearer"
        assert client.get("/model").status_code == 401
        one_of_two = {"X-API-Key": "old-key", "Authorization": "Bearer of-a-proxy"}
        for headers in ({"X-API-Key": "old-key"}, {"Authorization": "Bearer new-key"}, one_of_two):
            assert client.post("/predict", content=SEVEN, headers=headers).json()["digit"] == 7
        for path in ("/health", "/health/live", "/health/ready", "/metrics", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200


def test_openapi_says_whether_a_key_is_needed_and_where() -> None:
    for keys, wanted in (("", None), ("a-key", [{"bearer": []}, {"header": []}])):
        document = create_app(Settings.from_env({"DIGITS_API_KEYS": keys})).openapi()
        assert {"bearer", "header"} == set(document["components"]["securitySchemes"])
        assert document["paths"]["/predict"]["post"].get("security") == wanted
        assert "401" in document["paths"]["/model"]["get"]["responses"]
        assert "security" not in document["paths"]["/metrics"]["get"]


def test_a_service_under_a_path_answers_with_and_without_it() -> None:
    with TestClient(create_app(Settings.from_env(root_path="/digits"))) as client:
        for path in ("/predict", "/digits/predict"):
            assert client.post(path, content=SEVEN).json()["digit"] == 7
        assert client.get("/digits/health/live").status_code == 200
        assert client.get("/openapi.json").json()["servers"] == [{"url": "/digits"}]
