"""Clients of the service, for synchronous and for asynchronous programs.

    with Client("http://localhost:8000") as client:
        print(client.predict(Path("seven.png").read_bytes()).digit)
        for result in client.predict_many(path.read_bytes() for path in Path("scans").iterdir()):
            ...

The standard library's HTTP is enough for one route that takes bytes and answers with JSON, so the command line can ask
a service without a dependency that the service itself has no use for. It neither follows redirects nor uses proxies.
"""

import base64
import email.utils
import http.client
import json
import queue
import random
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlencode, urlsplit

import anyio

from service import __version__
from service.parallel import in_order, portions

# Refused for a while: admission is full, or the service or a balancer before it has nobody who answers.
_PASSING = frozenset({429, 502, 503})
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 8.0
_LONGEST_RETRY_AFTER = 60.0

_PATH = "/predict"
_BATCH_PATH = "/predict/batch"


@dataclass(frozen=True)
class Prediction:
    """The reading of one picture; the fields mean what they mean in the service's answer.

    `probabilities` are the ten in digit order, None where there is no ink; `image` is the 28x28 PNG that the network
    saw, where it was asked for.
    """

    digit: int | None
    confidence: float
    probabilities: tuple[float, ...] | None
    reject: float
    decision: str
    reasons: tuple[str, ...]
    image: bytes | None = None


class Refused(Exception):
    """The service answered with an error: for the whole request, or for one picture of many."""

    def __init__(self, code: str, detail: str, *, status: int | None = None, request_id: str | None = None) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.status = status
        self.request_id = request_id


class Unreachable(ConnectionError):
    """The service could not be reached, or what answers is no such service."""


@dataclass(frozen=True)
class Options:
    """How to read: see the query parameters of `/predict`."""

    target_error: float | None = None
    accept_at: float | None = None
    image: bool = False

    def query(self) -> str:
        values = {
            "target_error": self.target_error,
            "accept_at": self.accept_at,
            "include": "image" if self.image else None,
        }
        given = {name: value for name, value in values.items() if value is not None}
        return f"?{urlencode(given)}" if given else ""


DEFAULTS = Options()


class Client:
    """Asks one service; its methods may be called from several threads at once.

    Args:
        url: where the service is, with the path under which it is served if there is one.
        api_key: sent with every request.
        timeout: seconds to wait for the connection and between parts of an answer.
        tries: how often to send a request that is refused for a while or gets no answer. Reading changes nothing, so
            sending it again is safe. The pause grows from 0.25 s to 8 s, or is what `Retry-After` asks for.
        waiting: called before each pause with the failure and the seconds.

    Raises:
        ValueError: `url` is no http or https address.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None = None,
        timeout: float = 30.0,
        tries: int = 6,
        waiting: Callable[[Exception, float], None] | None = None,
    ) -> None:
        self._connections = _Connections(url, timeout)
        self._headers = {"User-Agent": f"digits/{__version__}", "Accept": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._tries = tries
        self._waiting = waiting

    def predict(self, picture: bytes, options: Options = DEFAULTS) -> Prediction:
        """Read one picture.

        Raises:
            Refused: the picture cannot be read, or the service does not take the request.
            Unreachable: there is no answer.
        """
        return _prediction(self._post(_PATH + options.query(), picture, "application/octet-stream"))

    def predict_many(
        self,
        pictures: Iterable[bytes | Refused],
        options: Options = DEFAULTS,
        *,
        batch_items: int = 64,
        batch_bytes: int = 16 * 2**20,
        parallel: int = 2,
    ) -> Generator[Prediction | Refused, None, None]:
        """Read many pictures in batches, `parallel` at a time; one result for each, in their order, as they come.

        A picture that cannot be read yields its error and harms no other; an error in place of a picture is handed on.

        Raises:
            Refused: the service does not take the requests.
            Unreachable: there is no answer.
        """

        def read(batch: Sequence[bytes | Refused]) -> list[Prediction | Refused]:
            return self._read_batch(batch, options)

        batches = portions(pictures, _size, max_items=batch_items, max_size=batch_bytes)
        return in_order(read, batches, parallel)

    def model(self) -> dict[str, Any]:
        """The record of the model that answers. Raises what `predict` raises."""
        return self._exchange("GET", "/model", b"", {})

    def close(self) -> None:
        self._connections.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _read_batch(self, batch: Sequence[bytes | Refused], options: Options) -> list[Prediction | Refused]:
        pictures = [picture for picture in batch if isinstance(picture, bytes)]
        answers = iter(self._ask(pictures, options) if pictures else ())
        return [item if isinstance(item, Refused) else next(answers) for item in batch]

    def _ask(self, pictures: Sequence[bytes], options: Options) -> list[Prediction | Refused]:
        body, media_type = _form(pictures)
        try:
            answer = self._post(_BATCH_PATH + options.query(), body, media_type)
        except Refused as error:
            if error.status != 413:
                raise
            if len(pictures) == 1:
                return [error]
            # This service allows less at once than others do.
            half = len(pictures) // 2
            return self._ask(pictures[:half], options) + self._ask(pictures[half:], options)
        return [_result(entry) for entry in answer["results"]]

    def _post(self, path: str, body: bytes, media_type: str) -> dict[str, Any]:
        return self._exchange("POST", path, body, {"Content-Type": media_type})

    def _exchange(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> dict[str, Any]:
        for attempt in range(1, self._tries + 1):
            pause = random.uniform(0.5, 1) * min(_FIRST_PAUSE * 2 ** (attempt - 1), _LONGEST_PAUSE)  # noqa: S311
            failure: Refused | Unreachable
            try:
                answer = self._connections.send(method, path, body, {**self._headers, **headers})
            except Unreachable as error:
                failure = error
            else:
                if answer.status == 200:
                    return answer.json()
                failure = answer.refusal()
                if answer.status not in _PASSING:
                    raise failure
                pause = max(pause, answer.retry_after())
            if attempt == self._tries or pause > _LONGEST_RETRY_AFTER:
                raise failure
            if self._waiting:
                self._waiting(failure, pause)
            time.sleep(pause)
        raise AssertionError("at least one try is made")


class AsyncClient:
    """`Client` for asyncio and trio: the same methods, carried out in worker threads."""

    def __init__(self, url: str, *, api_key: str | None = None, timeout: float = 30.0, tries: int = 6) -> None:
        self._client = Client(url, api_key=api_key, timeout=timeout, tries=tries)

    async def predict(self, picture: bytes, options: Options = DEFAULTS) -> Prediction:
        """As `Client.predict`; when it is cancelled the answer is not waited for."""
        return await anyio.to_thread.run_sync(self._client.predict, picture, options, abandon_on_cancel=True)

    async def predict_many(
        self,
        pictures: Iterable[bytes | Refused],
        options: Options = DEFAULTS,
        *,
        batch_items: int = 64,
        batch_bytes: int = 16 * 2**20,
        parallel: int = 2,
    ) -> AsyncIterator[Prediction | Refused]:
        """As `Client.predict_many`; `pictures` is gone through in a worker thread."""
        results = self._client.predict_many(
            pictures, options, batch_items=batch_items, batch_bytes=batch_bytes, parallel=parallel
        )
        try:
            while (result := await anyio.to_thread.run_sync(next, results, None)) is not None:
                yield result
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(results.close)

    async def model(self) -> dict[str, Any]:
        return await anyio.to_thread.run_sync(self._client.model, abandon_on_cancel=True)

    async def aclose(self) -> None:
        await anyio.to_thread.run_sync(self._client.close)

    async def __aenter__(self) -> "AsyncClient":
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.aclose()


# --- connections -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    data: bytes

    def json(self) -> dict[str, Any]:
        """Raises Unreachable if the body is no JSON object."""
        with suppress(ValueError):
            parsed = json.loads(self.data)
            if isinstance(parsed, dict):
                return parsed
        raise Unreachable(f"what answers is no digits service: status {self.status}, no JSON")

    def refusal(self) -> Refused | Unreachable:
        try:
            problem = self.json()
        except Unreachable as error:
            return error
        code, detail = str(problem.get("code", "unknown")), str(problem.get("detail", f"status {self.status}"))
        return Refused(code, detail, status=self.status, request_id=problem.get("request_id"))

    def retry_after(self) -> float:
        """Seconds that the service asks to wait, told as seconds or as a date (RFC 9110, 10.2.3); 0 if not told."""
        told = self.headers.get("retry-after", "")
        if told.isdigit():
            return float(told)
        with suppress(ValueError):
            return max(0.0, email.utils.parsedate_to_datetime(told).timestamp() - time.time())
        return 0.0


class _Connections:
    """Open connections to one service, each used by one thread at a time and kept for the next."""

    def __init__(self, url: str, timeout: float) -> None:
        self._address = _parse(url)
        self._timeout = timeout
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue()
        self._tls = ssl.create_default_context() if self._address.scheme == "https" else None

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> _Answer:
        """Send a request and read its answer. Raises Unreachable."""
        while True:
            connection, used = self._take()
            try:
                answer = self._talk(connection, method, path, body, headers)
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                # The service may have closed a connection that lay idle; only a fresh one tells that it is gone.
                if used and not isinstance(exc, TimeoutError):
                    continue
                raise Unreachable(f"{self._address.geturl()} does not answer: {_reason(exc)}") from exc
            if answer.headers.get("connection", "").lower() == "close":
                connection.close()
            else:
                self._idle.put(connection)
            return answer

    def close(self) -> None:
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def _take(self) -> tuple[http.client.HTTPConnection, bool]:
        with suppress(queue.Empty):
            return self._idle.get_nowait(), True
        address, port = self._address.hostname or "", self._address.port
        if self._tls:
            return http.client.HTTPSConnection(address, port, timeout=self._timeout, context=self._tls), False
        return http.client.HTTPConnection(address, port, timeout=self._timeout), False

    def _talk(
        self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes, headers: Mapping[str, str]
    ) -> _Answer:
        # A service that refuses a body answers before it has read it all, and then stops reading.
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.request(method, self._address.path + path, body or None, dict(headers))
        response = connection.getresponse()
        data = response.read()
        return _Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, data)


def _parse(url: str) -> SplitResult:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{url!r} is no address of a service; one looks like http://localhost:8000")
    _ = parts.port  # raises ValueError for what is no port
    return parts._replace(path=parts.path.rstrip("/"), query="", fragment="")


def _reason(exc: Exception) -> str:
    if isinstance(exc, TimeoutError):
        return "no answer within the time allowed"
    return (exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)) or type(exc).__name__


# --- bodies and answers ------------------------------------------------------------------------------------------


def _size(picture: bytes | Refused) -> int:
    return len(picture) if isinstance(picture, bytes) else 0


def _form(pictures: Sequence[bytes]) -> tuple[bytes, str]:
    """A form with the pictures as `files`, and its media type."""
    boundary = uuid.uuid4().hex
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="%d"\r\n\r\n'
    parts = [piece for index, data in enumerate(pictures) for piece in ((head % index).encode(), data, b"\r\n")]
    return b"".join([*parts, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _result(entry: Mapping[str, Any]) -> Prediction | Refused:
    error = entry["error"]
    return Refused(error["code"], error["detail"]) if error else _prediction(entry["prediction"])


def _prediction(answer: Mapping[str, Any]) -> Prediction:
    probabilities, image = answer["probabilities"], answer.get("image")
    return Prediction(
        digit=answer["digit"],
        confidence=answer["confidence"],
        probabilities=None if probabilities is None else tuple(probabilities),
        reject=answer["reject"],
        decision=answer["decision"],
        reasons=tuple(answer["reasons"]),
        image=None if image is None else base64.b64decode(image),
    )
