"""Are the answers right? Each must have status 200 and hold, for each picture, the digit that the network says in process.

Asked outside of what is measured, over as many connections at a time: an answer that was meant for another's request is
wrong as well.
"""

import http.client
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from benchmarks.bodies import Bodies


def count_wrong(url: str, bodies: Bodies, expected: Sequence[int], which: Sequence[int], connections: int) -> int:
    """How many pictures in the bodies of these numbers are answered with another digit than expected, or not with 200.

    `expected` holds a digit for each picture of all bodies, in order.
    """
    items = len(bodies.labels[0])
    paths = bodies.listing.read_text().split()

    def ask(numbers: Sequence[int]) -> int:
        parts = urlsplit(url)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=60)
        wrong = 0
        for number in numbers:
            content = Path(paths[number]).read_bytes()
            connection.request("POST", parts.path, content, {"Content-Type": bodies.content_type})
            digits = _digits(connection.getresponse(), items)
            right = expected[number * items : (number + 1) * items]
            wrong += sum(digit != other for digit, other in zip(digits, right, strict=True))
        connection.close()
        return wrong

    with ThreadPoolExecutor(connections) as pool:
        return sum(pool.map(ask, [which[start::connections] for start in range(connections)]))


def _digits(answer: http.client.HTTPResponse, items: int) -> list[int | None]:
    """The digits in an answer, None for each that is missing."""
    content = answer.read()
    if answer.status != 200:
        return [None] * items
    decoded: dict[str, Any] = json.loads(content)
    readings = [result.get("prediction") for result in decoded["results"]] if "results" in decoded else [decoded]
    digits = [_digit(reading) for reading in readings]
    return digits if len(digits) == items else [None] * items


def _digit(reading: dict[str, Any] | None) -> int | None:
    """Only an answer that is whole counts."""
    if reading is None or len(reading["probabilities"]) != 10:
        return None
    digit: int | None = reading["digit"]
    return digit
