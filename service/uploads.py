"""Request -> pictures as bytes: raw, form, JSON, zip archive or multi-page TIFF, with limits while reading.

`receive_one` and `receive_many` run on the event loop and keep the body in memory, never in a file; `one` and `many`
take it apart and belong into a worker thread, since unpacking an archive or decoding base64 takes time.
"""

import asyncio
import base64
import binascii
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from service import archives, images
from service.admission import Ticket
from service.errors import (
    DeadlineExceeded,
    InvalidRequest,
    Overloaded,
    ServiceError,
    TooLarge,
    UnsupportedMediaType,
    shown,
)
from service.forms import FormReader, Part, parse_form
from service.limits import Limits

# Boundaries, part headers and JSON's punctuation around the payload.
_ENVELOPE_BYTES = 64 * 1024
# Three bytes are four letters, and to each 64 letters there may be a line's end, which JSON writes as \r\n.
_BASE64_GROWTH = 4 / 3 * 68 / 64
# Up to here a form is collected and split as a whole, which takes a tenth of the time of parsing it; beyond, it would
# lie in memory twice.
_SMALL_FORM_BYTES = 4 * 2**20

# A sender has this long, and a second more for so many bytes it sent: slow lines pass, who only holds on does not.
_PATIENCE_SECONDS = 10.0
_MIN_BYTES_PER_SECOND = 16 * 1024
# So long has one of too many who are sending at a time.
_PATIENCE_IN_A_CROWD = 1.0

_FORM, _JSON = "multipart/form-data", "application/json"
_ZIP = ("application/zip", "application/x-zip-compressed")
# Sent by programs that do not know what they send; `curl --data-binary` says x-www-form-urlencoded.
_UNKNOWN = ("", "application/octet-stream", "application/x-www-form-urlencoded")

# As nearly all programs write it, told without the parser's help.
_FORM_TYPE = re.compile(r"multipart/form-data; ?boundary=([A-Za-z0-9'()+_./:=?-]{1,70})")

_PICTURE_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")


@dataclass(frozen=True)
class Body:
    """A received body: the media type without parameters, and its bytes or, of a form, its parts."""

    media_type: str
    data: bytes
    parts: tuple[Part, ...] = ()


@dataclass(frozen=True)
class Upload:
    """One picture of a batch: the id it is answered with, and its bytes, its page, or why it cannot be read.

    `options` is what else a JSON item says.
    """

    id: str | int
    source: bytes | images.Page | ServiceError
    options: Mapping[str, Any] = field(default_factory=dict)


async def receive_one(request: Request, limits: Limits, ticket: Ticket) -> Body:
    """Read the body of a single-picture request; see `one`.

    Raises:
        InvalidRequest: an empty body, or a form that is none.
        TooLarge: the body has more bytes than allowed; it is not read further.
        Overloaded: the requests in flight hold as many bytes as allowed, or too many are slow to send theirs.
        DeadlineExceeded: the body comes too slowly.
    """
    kind, parameters = _media_type(request)
    # The limit is on the picture, so the envelope around it comes on top.
    grown = {
        _FORM: limits.image_bytes + _ENVELOPE_BYTES,
        _JSON: int(limits.image_bytes * _BASE64_GROWTH) + _ENVELOPE_BYTES,
    }
    return await _receive(request, kind, parameters, grown.get(kind, limits.image_bytes), limits, ticket)


async def receive_many(request: Request, limits: Limits, ticket: Ticket) -> Body:
    """Read the body of a batch request; see `many`. Raises what `receive_one` raises."""
    kind, parameters = _media_type(request)
    return await _receive(request, kind, parameters, limits.batch_bytes, limits, ticket)


def parse(content_type: str, data: bytes, limits: Limits) -> Body:
    """A whole body of the given `Content-Type`; see `one`.

    Raises:
        InvalidRequest: an empty body, or a form that is none.
        TooLarge: the form has too many parts.
    """
    kind, parameters = _parse_type(content_type)
    if kind == _FORM:
        return Body(kind, b"", parse_form(data, parameters.get(b"boundary", b""), limits))
    if not data:
        raise InvalidRequest("the body is empty; send a picture")
    return Body(kind, data)


def one(body: Body, limits: Limits) -> bytes:
    """The picture of a single-picture request.

    Raises:
        InvalidRequest: the form or the JSON does not hold one picture where it should.
        TooLarge: the picture has more bytes than allowed.
        UnsupportedMediaType: the body is no picture, form or JSON.
    """
    if body.media_type == _FORM:
        data = _file_part(body.parts)
    elif body.media_type == _JSON:
        data = _decode_base64(_member(_parse_object(body.data), "image"))
    elif body.media_type.startswith("image/") or (
        body.media_type in _UNKNOWN and (body.media_type != _UNKNOWN[-1] or body.data.startswith(_PICTURE_SIGNATURES))
    ):
        data = body.data
    else:
        raise UnsupportedMediaType(
            f"a body of type {shown(body.media_type)} is not taken here; send the picture's bytes as image/* or "
            "application/octet-stream, a form with the field 'file', or JSON with the member 'image'"
        )
    return limits.checked(data)


def light_picture(body: Body, limits: Limits) -> bytes | None:
    """The picture, if unpacking and reading it take so little time that the event loop may wait for it."""
    if len(body.data) > 2 * images.LIGHT_BYTES:
        return None
    picture = one(body, limits)
    return picture if images.is_light(picture) else None


def many(body: Body, limits: Limits) -> list[Upload]:
    """The pictures of a batch request, in order; a bad one carries its error.

    Raises:
        InvalidRequest: the form, the JSON or the archive is none, or holds no picture.
        TooLarge: more items or more unpacked bytes than allowed.
        UnsupportedMediaType: the body is of none of the four types.
    """
    uploads = list(_unpack(body, limits))
    if not uploads:
        raise InvalidRequest("the batch is empty; send at least one picture")
    return uploads


def _unpack(body: Body, limits: Limits) -> Iterator[Upload]:
    kind, unknown = body.media_type, body.media_type in _UNKNOWN
    if kind == _FORM:
        return _form_uploads(body.parts)
    if kind == _JSON:
        return _json_uploads(body.data, limits)
    if kind in _ZIP or (unknown and body.data.startswith(_ZIP_SIGNATURES)):
        return (Upload(name, source) for name, source in archives.members(body.data, limits))
    if kind == "image/tiff" or (unknown and body.data.startswith(_TIFF_SIGNATURES)):
        return _tiff_uploads(body.data, limits)
    raise UnsupportedMediaType(
        f"a body of type {shown(kind)} is not taken here; send a form with repeated fields 'files', "
        "JSON with the member 'images', application/zip, or a multi-page image/tiff"
    )


# --- receiving ---------------------------------------------------------------------------------------------------


def header(request: Request, name: bytes) -> str | None:
    """A request's header by its lower-case name; the middleware has put them into a mapping."""
    value: bytes | None = request.scope["state"]["headers"].get(name)
    return None if value is None else value.decode("latin-1")


def _media_type(request: Request) -> tuple[str, dict[bytes, bytes]]:
    return _parse_type(header(request, b"content-type") or "")


def _parse_type(content_type: str) -> tuple[str, dict[bytes, bytes]]:
    if form := _FORM_TYPE.fullmatch(content_type):
        return _FORM, {b"boundary": form[1].encode()}
    media_type, parameters = parse_options_header(content_type)
    return media_type.decode("latin-1"), parameters


async def _receive(
    request: Request, kind: str, parameters: dict[bytes, bytes], limit: int, limits: Limits, ticket: Ticket
) -> Body:
    announced = header(request, b"content-length") or ""
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"the body has {announced} bytes; at most {limit} are allowed here")
    boundary = parameters.get(b"boundary", b"")
    if kind == _FORM and not (announced.isdigit() and int(announced) <= _SMALL_FORM_BYTES):
        form = FormReader(boundary, limits)
        await _receive_pieces(request.receive, limit, ticket, form.take)
        return Body(kind, b"", form.finish())
    pieces: list[bytes] = []
    await _receive_pieces(request.receive, limit, ticket, pieces.append)
    # Most bodies come in one piece, which join hands on as it is.
    data = b"".join(pieces)
    if kind == _FORM:
        return Body(kind, b"", parse_form(data, boundary, limits))
    if not data:
        raise InvalidRequest("the body is empty; send a picture")
    return Body(kind, data)


async def _receive_pieces(receive: Receive, limit: int, ticket: Ticket, take: Callable[[bytes], object]) -> None:
    """Let `take` have the pieces of a body as they come, as long as they come at the least pace."""
    total = 0
    started = time.monotonic()
    ticket.wait_for_body()
    message = await _next(receive, started, total, ticket)
    while message["type"] != "http.disconnect":
        piece = message.get("body", b"")
        total += len(piece)
        if total > limit:
            raise TooLarge(f"the body has more than {limit} bytes; at most {limit} are allowed here")
        if piece:
            ticket.add(size=len(piece))
            take(piece)
        if not message.get("more_body", False):
            ticket.begin()
            return
        message = await _next(receive, started, total, ticket)
    raise ClientDisconnect


async def _next(receive: Receive, started: float, total: int, ticket: Ticket) -> Message:
    crowded = ticket.is_in_a_crowd()
    patience = started + _PATIENCE_SECONDS + total / _MIN_BYTES_PER_SECOND - time.monotonic()
    try:
        async with asyncio.timeout(min(patience, _PATIENCE_IN_A_CROWD) if crowded else patience):
            return await receive()
    except TimeoutError as exc:
        if crowded:
            raise Overloaded("too many requests are still sending their bodies; no more are waited for now") from exc
        raise DeadlineExceeded(f"after {total} bytes the body comes too slowly") from exc


# --- taking apart ------------------------------------------------------------------------------------------------


def _file_part(parts: tuple[Part, ...]) -> bytes:
    found = [part for part in parts if part.field == "file"]
    if not found:
        names = ", ".join(sorted({shown(part.field) for part in parts})) or "none"
        raise InvalidRequest(f"the form has no field 'file'; its fields are: {names}")
    if len(found) > 1:
        raise InvalidRequest(f"the form has {len(found)} fields 'file'; send several pictures to /predict/batch")
    if isinstance(found[0].data, ServiceError):
        raise found[0].data
    if not found[0].data:
        raise InvalidRequest("the part 'file' is empty; send a picture")
    return found[0].data


def _form_uploads(parts: tuple[Part, ...]) -> Iterator[Upload]:
    files = [part for part in parts if part.field == "files"]
    if not files:
        names = ", ".join(sorted({shown(part.field) for part in parts})) or "none"
        raise InvalidRequest(f"the form has no field 'files'; its fields are: {names}")
    for index, part in enumerate(files):
        source = part.data or InvalidRequest("the part is empty; send a picture")
        yield Upload(part.filename or f"file-{index + 1}", source)


def _json_uploads(data: bytes, limits: Limits) -> Iterator[Upload]:
    entries = _member(_parse_object(data), "images")
    if not isinstance(entries, list):
        raise InvalidRequest("the member 'images' must be a list of objects with the member 'image'")
    if len(entries) > limits.batch_items:
        raise limits.too_many()
    for index, entry in enumerate(entries):
        yield _json_upload(index, entry, limits)


def _json_upload(index: int, entry: Any, limits: Limits) -> Upload:
    fallback = f"item-{index + 1}"
    if not isinstance(entry, dict):
        return Upload(fallback, InvalidRequest("each of 'images' must be an object with the member 'image'"))
    identity = fallback if entry.get("id") is None else entry["id"]
    if isinstance(identity, bool) or not isinstance(identity, str | int):
        return Upload(fallback, InvalidRequest("the member 'id' must be a string or an integer"))
    options = {name: value for name, value in entry.items() if name not in ("id", "image")}
    try:
        return Upload(identity, limits.checked(_decode_base64(_member(entry, "image"))), options)
    except ServiceError as error:
        return Upload(identity, error)


def _tiff_uploads(data: bytes, limits: Limits) -> Iterator[Upload]:
    for page in images.pages(data, max_pages=limits.batch_items):
        yield Upload(f"page-{page.index + 1}", page)


def parse_json(data: bytes, what: str = "body") -> Any:
    """What the JSON of a request says; raises `InvalidRequest` where it is none."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"the {what} is not valid JSON: line {exc.lineno}, column {exc.colno}") from exc


def _parse_object(data: bytes) -> dict[str, Any]:
    parsed = parse_json(data)
    if not isinstance(parsed, dict):
        raise InvalidRequest("the JSON body must be an object")
    return parsed


def _member(parsed: dict[str, Any], name: str) -> Any:
    if name not in parsed:
        names = ", ".join(shown(key) for key in list(parsed)[:10]) or "none"
        raise InvalidRequest(f"the JSON has no member '{name}'; its members are: {names}")
    return parsed[name]


def _decode_base64(value: Any) -> bytes:
    """Bytes of a base64 string or `data:` URL; line breaks, as many encoders add them, are allowed."""
    if not isinstance(value, str):
        raise InvalidRequest("the member 'image' must be a string: base64, or a data: URL")
    if value[:5].lower() == "data:":
        head, separator, value = value.partition(",")
        if not separator or not head.lower().endswith(";base64"):
            raise InvalidRequest("the data: URL in 'image' must be of the form data:<type>;base64,<data>")
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("the member 'image' is not valid base64") from exc
    if not data:
        raise InvalidRequest("the member 'image' is empty; send a picture")
    return data
