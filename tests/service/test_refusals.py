"""What is refused at the door without a look at more than its head, and what it is told."""

import asyncio

import pytest

from service.metrics import Metrics
from service.refusals import Refusals

REFUSABLE = {b"/predict": "/predict", b"/digits/predict": "/predict"}
WHOLE = b"POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"


@pytest.mark.parametrize(
    ("data", "route"),
    [
        (WHOLE, "/predict"),
        (WHOLE.replace(b"Length: 3", b"length :  3 "), "/predict"),
        (WHOLE.replace(b"/predict", b"/digits/predict?accept_at=0.9"), "/predict"),
        (WHOLE.replace(b"/predict", b"/predict/"), None),
        (WHOLE.replace(b"POST", b"GET"), None),
        (WHOLE.replace(b"1.1", b"1.0"), None),
        (WHOLE + b"d", None),
        (WHOLE[:-1], None),
        (WHOLE[:40], None),
        (WHOLE + WHOLE, None),
        (WHOLE.replace(b"Host", b"Connection"), None),
        (WHOLE.replace(b"Host", b"Transfer-Encoding"), None),
        (WHOLE.replace(b"Host", b"X-Request-ID"), None),
        (WHOLE.replace(b"Host: x", b"Content-Length: 3"), None),
        (WHOLE.replace(b"Host: x", b"Host: x\r\n Content-Length: 3"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: +3"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: 03"), None),
        (WHOLE.replace(b"Content-Length: 3", b"Content-Length: " + b"9" * 5000), None),
        (WHOLE.replace(b"/predict", b"/PREDICT"), None),
        (b"", None),
    ],
)
def test_only_whole_and_plain_requests_are_refused_without_parsing(data: bytes, route: str | None) -> None:
    refusals = Refusals(REFUSABLE, Metrics())
    assert refusals.route_of_whole(data) == route
    assert refusals.route_of_whole(data) == route, "a head that was seen before"


def test_of_the_heads_that_were_seen_nothing_is_kept_but_their_number_is_bounded() -> None:
    refusals = Refusals(REFUSABLE, Metrics())
    for length in range(10_000):
        head = b"POST /predict HTTP/1.1\r\nX-API-Key: secret-%d\r\nContent-Length: %d\r\n\r\n" % (length, length)
        assert refusals.route_of_whole(head + b"x" * length) == "/predict"
        assert refusals.route_of_whole(head + b"x" * (length + 1)) is None
    assert len(refusals._plain_heads) <= 4096
    assert not any(isinstance(key, bytes) for key in refusals._plain_heads)


def test_what_was_refused_in_one_turn_is_counted_together_before_anything_else_is_heard() -> None:
    metrics = Metrics()
    refusals = Refusals(REFUSABLE, metrics)

    async def refuse() -> None:
        for index in range(5):
            answer = refusals.answer("/predict", 128, f"id-{index}")
            assert answer.startswith(b"HTTP/1.1 429 ")
            assert b"id-%d" % index in answer.partition(b"\r\n\r\n")[2]
        refusals.answer("/predict/batch", 128, "another", b"connection: close\r\n")
        await asyncio.sleep(0)

    asyncio.run(refuse())
    text = metrics.exposition("")[0].decode()
    assert 'digit_requests_rejected_total{code="overloaded"} 6.0' in text
    assert 'http_requests_total{method="POST",route="/predict",status="429"} 5.0' in text
    assert 'http_requests_total{method="POST",route="/predict/batch",status="429"} 1.0' in text
    assert 'http_request_duration_seconds_count{method="POST",route="/predict"} 5.0' in text
