"""Inference requests of the Open Inference Protocol -> pictures, and readings -> its responses: tensors in JSON or binary."""

import base64
import binascii
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

from service import uploads
from service.classifier import ModelRecord
from service.errors import InvalidRequest, TooLarge, shown
from service.limits import Limits
from service.preprocessing import SIZE
from service.reader import Digit, Reading

HEADER_LENGTH = "Inference-Header-Content-Length"

# Extensions that are not spoken here; ignoring them would answer something else than was asked for.
_UNSUPPORTED = ("classification", "shared_memory_region")

_LENGTH = struct.Struct("<I")

Tensor = NDArray[Any]


@dataclass(frozen=True)
class Output:
    """One tensor of the answer: the protocol's type, the shape after the batch axis, and NumPy's type."""

    datatype: str
    shape: tuple[int, ...]
    dtype: Any


# What each reading is answered with. Without ink, `digit` is -1 and every probability 0.
OUTPUTS = {
    "probabilities": Output("FP32", (10,), np.float32),
    "reject": Output("FP32", (), np.float32),
    "digit": Output("INT64", (), np.int64),
    "decision": Output("BYTES", (), np.object_),
}


@dataclass(frozen=True)
class Call:
    """A parsed inference request: the pictures, and which outputs are wanted in which order, True for binary."""

    id: str | None
    pictures: Sequence[bytes | Digit]
    outputs: Mapping[str, bool]


def parse(body: bytes, header_length: str | None, limits: Limits) -> Call:
    """Take an inference request apart.

    Args:
        body: the JSON, followed by the binary tensor data if there are any.
        header_length: value of `Inference-Header-Content-Length`, the length of the JSON where binary data follow.
        limits: how many pictures a request may hold, and how many bytes a picture.

    Raises:
        InvalidRequest: the request is not of the protocol's form, or names tensors that the model does not have.
        TooLarge: more pictures, or a larger one, than allowed.
    """
    header, binary = _split(body, header_length)
    message = _parse_json(header)
    identity = message.get("id")
    if identity is not None and not isinstance(identity, str):
        raise InvalidRequest("the member 'id' must be a string")
    pictures = _parse_input(_objects(message, "inputs"), binary, limits)
    return Call(identity, pictures, _parse_outputs(message))


def answer(call: Call, readings: Sequence[Reading], record: ModelRecord) -> tuple[bytes, int | None]:
    """The body of the response, and the length of the JSON in it where binary data follow."""
    outputs, payloads = [], []
    for name, binary in call.outputs.items():
        values = _values(name, readings)
        output: dict[str, Any] = {"name": name, "shape": list(values.shape), "datatype": OUTPUTS[name].datatype}
        if binary:
            payload = _pack(values)
            payloads.append(payload)
            output["parameters"] = {"binary_data_size": len(payload)}
        else:
            output["data"] = values.ravel().tolist() if values.dtype == np.object_ else values.ravel()
        outputs.append(output)
    message = {"model_name": record.name, "model_version": record.version, "outputs": outputs}
    if call.id is not None:
        message["id"] = call.id
    header = orjson.dumps(message, option=orjson.OPT_SERIALIZE_NUMPY)
    return b"".join([header, *payloads]), len(header) if payloads else None


def _split(body: bytes, header_length: str | None) -> tuple[bytes, bytes]:
    if header_length is None:
        return body, b""
    if not (header_length.isascii() and header_length.isdigit() and 0 < int(header_length[:12]) <= len(body)):
        raise InvalidRequest(f"{HEADER_LENGTH} must be the length of the JSON, from 1 to the body's {len(body)} bytes")
    return body[: int(header_length)], body[int(header_length) :]


def _parse_json(data: bytes) -> dict[str, Any]:
    message = uploads.parse_json(data, "request")
    if not isinstance(message, dict):
        raise InvalidRequest("the request must be a JSON object")
    return message


def _objects(message: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    entries = message.get(name)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest(f"the member '{name}' must be a list of tensors")
    return entries


def _parameters(holder: Mapping[str, Any]) -> dict[str, Any]:
    parameters = holder.get("parameters")
    if parameters is None:
        return {}
    if not isinstance(parameters, dict):
        raise InvalidRequest("the member 'parameters' must be an object")
    for name in _UNSUPPORTED:
        if name in parameters:
            raise InvalidRequest(f"the parameter '{name}' is not supported")
    return parameters


def _parse_outputs(message: Mapping[str, Any]) -> dict[str, bool]:
    binary = _parameters(message).get("binary_data_output", False) is True
    if message.get("outputs") in (None, []):
        return dict.fromkeys(OUTPUTS, binary)
    wanted = {}
    for entry in _objects(message, "outputs"):
        name = entry.get("name")
        if not isinstance(name, str) or name not in OUTPUTS:
            raise InvalidRequest(f"there is no output {shown(name)}; the model has {', '.join(OUTPUTS)}")
        wanted[name] = _parameters(entry).get("binary_data", binary) is True
    return wanted


def _parse_input(inputs: Sequence[Mapping[str, Any]], binary: bytes, limits: Limits) -> Sequence[bytes | Digit]:
    if len(inputs) != 1 or inputs[0].get("name") != "image":
        names = ", ".join(shown(entry.get("name")) for entry in inputs[:10]) or "none"
        raise InvalidRequest(f"the model has one input, 'image'; sent were: {names}")
    tensor = inputs[0]
    shape = _parse_shape(tensor.get("shape"))
    if math.prod(shape[:1]) > limits.batch_items:
        raise TooLarge(f"the tensor holds {shape[0]} pictures; at most {limits.batch_items} are allowed")
    raw = _binary_data(tensor, binary)
    datatype = tensor.get("datatype")
    if datatype == "UINT8":
        return [Digit(pixels, frozenset()) for pixels in _parse_digits(tensor, shape, raw)]
    if datatype == "BYTES":
        return _parse_pictures(tensor, shape, raw, limits)
    raise InvalidRequest(f"the tensor 'image' has the datatype {shown(datatype)}; allowed are UINT8 and BYTES")


def _parse_shape(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, list) or not all(type(size) is int and size > 0 for size in shape) or not shape:
        raise InvalidRequest("the member 'shape' must be a list of positive integers")
    return tuple(shape)


def _binary_data(tensor: Mapping[str, Any], binary: bytes) -> bytes | None:
    """The tensor's binary data, or None where they are in the JSON."""
    size = _parameters(tensor).get("binary_data_size")
    if size is None:
        if binary:
            raise InvalidRequest(f"{len(binary)} bytes follow the JSON, but no tensor has a 'binary_data_size'")
        return None
    if tensor.get("data") is not None:
        raise InvalidRequest("the tensor 'image' has both 'data' and a 'binary_data_size'")
    if size != len(binary):
        raise InvalidRequest(f"'binary_data_size' is {shown(size)}, but {len(binary)} bytes follow the JSON")
    return binary


def _parse_digits(tensor: Mapping[str, Any], shape: tuple[int, ...], raw: bytes | None) -> NDArray[np.uint8]:
    if len(shape) != 3 or shape[1:] != (SIZE, SIZE):
        raise InvalidRequest(f"a UINT8 tensor 'image' must have the shape [N, {SIZE}, {SIZE}], not {list(shape[:9])}")
    values = _integers(tensor.get("data")) if raw is None else np.frombuffer(raw, np.uint8)
    if values.size != math.prod(shape):
        raise InvalidRequest(f"the tensor 'image' has {values.size} values, not the {math.prod(shape)} of its shape")
    if values.min() < 0 or values.max() > 255:
        raise InvalidRequest("the values of a UINT8 tensor must be integers from 0 to 255")
    return values.astype(np.uint8, copy=False).reshape(shape)


def _integers(data: Any) -> NDArray[np.integer[Any]]:
    """Numbers of a JSON list, nested or flat, as an array of integers."""
    try:
        values = np.asarray(data)
    except (ValueError, OverflowError) as exc:
        raise InvalidRequest("the member 'data' is a list of lists of different lengths") from exc
    if not isinstance(data, list) or values.dtype.kind not in "iu":
        raise InvalidRequest("the member 'data' of a UINT8 tensor must be a list, nested or flat, of integers")
    return values.ravel()


def _parse_pictures(
    tensor: Mapping[str, Any], shape: tuple[int, ...], raw: bytes | None, limits: Limits
) -> list[bytes]:
    if len(shape) > 2 or math.prod(shape) != shape[0]:
        raise InvalidRequest(f"a BYTES tensor 'image' must have the shape [N] or [N, 1], not {list(shape[:9])}")
    pictures = _decode_all(tensor.get("data")) if raw is None else _unpack(raw)
    if len(pictures) != shape[0]:
        raise InvalidRequest(f"the tensor 'image' has {len(pictures)} pictures, not the {shape[0]} of its shape")
    for index, picture in enumerate(pictures):
        if len(picture) > limits.image_bytes:
            raise TooLarge(f"picture {index} has {len(picture)} bytes; at most {limits.image_bytes} are allowed")
    return pictures


def _decode_all(data: Any) -> list[bytes]:
    if isinstance(data, list) and data and all(isinstance(entry, list) and len(entry) == 1 for entry in data):
        data = [entry[0] for entry in data]
    if not isinstance(data, list) or not all(isinstance(entry, str) for entry in data):
        raise InvalidRequest("the member 'data' of a BYTES tensor must be a list of strings: pictures in base64")
    return [_decode(index, entry) for index, entry in enumerate(data)]


def _decode(index: int, text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest(f"picture {index} is not valid base64") from exc


def _unpack(raw: bytes) -> list[bytes]:
    """Elements of a BYTES tensor, each with its length in front: 4 bytes, little endian."""
    elements, at = [], 0
    while at < len(raw):
        end = at + _LENGTH.size
        if end > len(raw) or (end := end + _LENGTH.unpack_from(raw, at)[0]) > len(raw):
            raise InvalidRequest("the binary data of the BYTES tensor end within an element")
        elements.append(raw[at + _LENGTH.size : end])
        at = end
    return elements


def _values(name: str, readings: Sequence[Reading]) -> Tensor:
    dtype = OUTPUTS[name].dtype
    if name == "probabilities":
        none = np.zeros(10, np.float32)
        return np.stack([none if reading.probabilities is None else reading.probabilities for reading in readings])
    if name == "digit":
        return np.array([-1 if reading.digit is None else reading.digit for reading in readings], dtype)
    if name == "decision":
        return np.array([reading.decision.value for reading in readings], dtype)
    return np.array([reading.reject for reading in readings], dtype)


def _pack(values: Tensor) -> bytes:
    if values.dtype == np.object_:
        encoded = [value.encode() for value in values.ravel()]
        return b"".join(_LENGTH.pack(len(element)) + element for element in encoded)
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
