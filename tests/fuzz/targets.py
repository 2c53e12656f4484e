"""What is fuzzed: a request as a whole, the decoding of a picture, the way from its pixels to a digit.

Each target takes any bytes and returns if the service does what it promises with them. Whatever it raises is a fault.
"""

import asyncio
import json
import resource
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from service import images, ink, preprocessing
from service.app import create_app
from service.errors import InvalidImage, TooLarge
from service.settings import Settings

CPU_SECONDS = 1.0
# On top of what the process has anyway, about 80 MB: together less than the 300 MB that a hostile upload may cost.
MEGABYTES = 220

# The first byte of a request's input picks one of these; "boundary" is that of all seeds.
ROUTES = (
    ("/predict", "application/octet-stream"),
    ("/predict", "multipart/form-data; boundary=boundary"),
    ("/predict", "application/json"),
    ("/predict/batch", "multipart/form-data; boundary=boundary"),
    ("/predict/batch", "application/json"),
    ("/predict/batch", "application/zip"),
    ("/predict/batch", "image/tiff"),
    ("/v2/models/digits/infer", "application/json"),
)
ANSWERS = {200, 400, 413, 415, 422}


class TooSlow(Exception):
    """An input kept the processor busy for longer than any may."""


class TooMuchMemory(Exception):
    """An input took more memory than any may."""


def request(data: bytes) -> None:
    """A body for one of the routes gets an answer of the contract, and never "our fault"."""
    path, content_type = ROUTES[data[0] % len(ROUTES)] if data else ROUTES[0]
    status, body = _service().post(path, content_type, data[1:])
    assert status in ANSWERS, (status, body)
    if status != 200:
        json.loads(body)


def decode(data: bytes) -> None:
    """Bytes are an upright picture of one of two modes, or are refused with one of two errors; so is each page."""
    _decode(data)
    try:
        pages = list(images.pages(data, max_pages=8))
    except (InvalidImage, TooLarge):
        return
    for page in pages:
        _decode(page)


def _decode(source: bytes | images.Page) -> None:
    try:
        image = images.decode(source)
    except (InvalidImage, TooLarge):
        return
    assert image.mode in ("L", "RGB")
    assert min(image.size) > 0


def normalize(data: bytes) -> None:
    """Pixels of any picture become a digit with ink, or none; the first bytes are its width, height and mode."""
    if len(data) < 4:
        return
    width, height = 1 + data[0], 1 + data[1]
    channels = 3 if data[2] % 2 else 1
    pixels = np.resize(np.frombuffer(data[3:], np.uint8), (height, width, channels))
    if channels == 1:
        pixels = pixels[:, :, 0]
    digit = preprocessing.normalize(ink.find_ink(Image.fromarray(np.ascontiguousarray(pixels))))
    if digit is not None:
        assert (digit.shape, digit.dtype) == ((28, 28), np.uint8)
        assert digit.any()


TARGETS: dict[str, Callable[[bytes], None]] = {"request": request, "decode": decode, "normalize": normalize}


def check(target: str, data: bytes) -> None:
    """Run a target on one input and raise whatever is wrong with it, its processor time and memory included."""
    peak, resident, started = _peak_megabytes(), _resident_megabytes(), time.process_time()
    TARGETS[target](data)
    if (seconds := time.process_time() - started) > CPU_SECONDS:
        raise TooSlow(f"{seconds:.2f} s for {len(data)} bytes")
    # Only a new peak of the process can be told; an input that makes none takes less than one that passed.
    if _peak_megabytes() > peak and (megabytes := _peak_megabytes() - resident) > MEGABYTES:
        raise TooMuchMemory(f"{megabytes:.0f} MB for {len(data)} bytes")


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _resident_megabytes() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


class _Service:
    """The application on an event loop of its own, asked without a socket."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._app = create_app(Settings(max_timeout_ms=600_000))
        self._stack = AsyncExitStack()
        self._state = self._runner.run(self._stack.enter_async_context(self._app.router.lifespan_context(self._app)))

    def post(self, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        return self._runner.run(self._post(path, content_type, body))

    async def _post(self, path: str, content_type: str, body: bytes) -> tuple[int, bytes]:
        headers = [(b"content-type", content_type.encode()), (b"content-length", str(len(body)).encode())]
        scope = {"type": "http", "method": "POST", "path": path, "raw_path": path.encode(), "headers": headers}
        scope |= {"query_string": b"", "root_path": "", "scheme": "http", "state": dict(self._state), "client": None}
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return messages.pop() if messages else await asyncio.Event().wait()  # type: ignore[return-value]

        async def send(message: dict[str, Any]) -> None:
            sent.append(message)

        await self._app(scope, receive, send)
        return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@cache
def _service() -> _Service:
    return _Service()
