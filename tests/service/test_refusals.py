"""What is refused at the door without a look at more than its head, and what it is told."""

import asyncio

from service.metrics import Metrics
from service.refusals import Refusals

REFUSABLE = {b"/predict": "/predict", b"/digits/predict": "/predict"}


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
