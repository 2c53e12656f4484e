"""What the reading routes answer with: readings as JSON, and the header that says how long each stage took."""

import base64
import io
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import orjson
from fastapi import Response
from PIL import Image

from service.errors import ServiceError
from service.fields import FieldReading
from service.reader import Reading, Timings
from service.schemas import ReadOptions
from service.state import State
from service.uploads import Upload

R = TypeVar("R", Reading, FieldReading)

DEFAULTS = ReadOptions()  # type: ignore[call-arg]


def prediction_json(reading: Reading, state: State, options: ReadOptions = DEFAULTS) -> bytes:
    """The answer to a request with one picture."""
    return to_json(prediction(reading, options) | {"model": state.model_name})


def prediction(reading: Reading, options: ReadOptions) -> dict[str, Any]:
    """One reading as it is answered, alone or in a batch; floats as float32, so that equal ones are written alike."""
    answer: dict[str, Any] = {
        "digit": reading.digit,
        "confidence": np.float32(reading.confidence),
        "probabilities": reading.probabilities,
        "reject": np.float32(reading.reject),
        "decision": reading.decision,
        "reasons": reading.reasons,
    }
    if options.include == "image":
        answer["image"] = _png(reading)
    return answer


def batch_json(
    items: Sequence[Upload], results: Sequence[R | ServiceError], state: State, describe: Callable[[R], dict[str, Any]]
) -> bytes:
    """The answer to a batch; `describe` makes an answer of one reading."""
    entries = [
        _entry(index, item, result, describe) for index, (item, result) in enumerate(zip(items, results, strict=True))
    ]
    return to_json({"results": entries, "counts": _counts(results), "model": state.model_name})


def _png(reading: Reading) -> str | None:
    if reading.pixels is None:
        return None
    buffer = io.BytesIO()
    Image.fromarray(reading.pixels).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


def _entry(
    index: int, item: Upload, result: R | ServiceError, describe: Callable[[R], dict[str, Any]]
) -> dict[str, Any]:
    if isinstance(result, ServiceError):
        error = {"code": result.code, "title": result.title, "detail": result.detail}
        return {"index": index, "id": item.id, "prediction": None, "error": error}
    return {"index": index, "id": item.id, "prediction": describe(result), "error": None}


def _counts(results: Sequence[Reading | FieldReading | ServiceError]) -> dict[str, int]:
    counts = Counter("error" if isinstance(result, ServiceError) else result.decision for result in results)
    return {"items": len(results)} | {name: counts[name] for name in ("accept", "review", "reject", "error")}


def to_json(content: Any) -> bytes:
    """JSON of what may hold NumPy's arrays and numbers."""
    return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def timing(state: State, timings: Timings) -> dict[str, str]:
    """The header that says how long each stage took; counts them."""
    state.metrics.observe_stages(timings)
    if timings.digits:
        state.metrics.inference_batch_size.observe(timings.digits)
    return {
        "Server-Timing": f"read;dur={timings.read * 1000:.3f}, decode;dur={timings.decode * 1000:.3f}, "
        f"normalize;dur={timings.normalize * 1000:.3f}, queue;dur={timings.queue * 1000:.3f}, "
        f"infer;dur={timings.infer * 1000:.3f}"
    }


class Json(Response):
    """An answer whose headers are known: not looked through again as `Response` does."""

    def __init__(self, content: bytes, headers: Mapping[str, str]) -> None:
        self.status_code, self.background = 200, None
        self.body = content
        self.raw_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(self.body)),
            *[(name.lower().encode(), value.encode()) for name, value in headers.items()],
        ]
