"""Request -> pictures as bytes: raw, form, JSON, zip archive or multi-page TIFF, with limits while reading.

`receive_one` and `receive_many` run on the event loop and keep the body in memory, never in a file; `one` and `many` take it apart and
belong into a worker thread, since unpacking an archive or decoding base64 takes time.
"""

import asyncio
import base64
import binascii
import io
import re
import struct
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from service import images
from service.admission import Ticket
from service.errors import DeadlineExceeded, InvalidRequest, ServiceError, TooLarge, UnsupportedMediaType

# Boundaries, part headers and JSON's punctuation around the payload.
_ENVELOPE_BYTES = 64 * 1024
_MAX_FORM_PARTS = 1000
# Up to here a form is collected and split as a whole, which takes a tenth of the time of parsing it; beyond, it would
# lie in memory twice.
_SMALL_FORM_BYTES = 4 * 2**20

# A sender has this long, and a second more for so many bytes it sent: slow lines pass, who only holds on does not.
_PATIENCE_SECONDS = 10.0
_MIN_BYTES_PER_SECOND = 16 * 1024
# Who keeps a reader waiting for longer than this gives up its place to others until its body is here.
_PROMPT_SECONDS = 0.05

_FORM, _JSON = "multipart/form-data", "application/json"
_ZIP = ("application/zip", "application/x-zip-compressed")
# Sent by programs that do not know what they send; `curl --data-binary` says x-www-form-urlencoded.
_UNKNOWN = ("", "application/octet-stream", "application/x-www-form-urlencoded")

# Headers as nearly all programs write them, told without the parser's help.
_FORM_TYPE = re.compile(r"multipart/form-data; ?boundary=([A-Za-z0-9'()+_./:=?-]{1,70})")
_PART_HEADER = re.compile(rb"([A-Za-z-]{1,40}):([^\r\n\0]{0,1000})")
_DISPOSITION = re.compile(rb' ?form-data; name="([^"\\]*)"(?:; filename="([^"\\]*)")?')
_MAX_PART_HEADERS = 4

_PICTURE_SIGNATURES = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
_TIFF_SIGNATURES = (b"II*\0", b"MM\0*")
_ZIP_SIGNATURES = (b"PK\x03\x04", b"PK\x05\x06")

_END_OF_CENTRAL_DIRECTORY = b"PK\x05\x06"
# A name of 65,535 bytes for each of the allowed members would be absurd; this leaves 4 KiB for each of 256.
_MAX_CENTRAL_DIRECTORY = 2**20

# What archivers add on their own account.
_ARCHIVER_FILES = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Limits:
    """What a request may carry: bytes of one picture, of a batch, of an unpacked archive, and pictures in a batch."""

    image_bytes: int
    batch_bytes: int
    unpacked_bytes: int
    batch_items: int


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    field: str
    filename: str | None
    data: bytes | ServiceError


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
        Overloaded: the requests in flight hold as many bytes as allowed.
        DeadlineExceeded: the body comes too slowly.
    """
    kind, parameters = _media_type(request)
    # The limit is on the picture, so the envelope around it comes on top.
    grown = {_FORM: limits.image_bytes + _ENVELOPE_BYTES, _JSON: limits.image_bytes * 4 // 3 + _ENVELOPE_BYTES}
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
        return Body(kind, b"", _parse_form(data, parameters.get(b"boundary", b""), limits))
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
            f"a body of type {_shown(body.media_type)} is not taken here; send the picture's bytes as image/* or "
            "application/octet-stream, a form with the field 'file', or JSON with the member 'image'"
        )
    return _limited(data, limits.image_bytes)


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
        return _zip_uploads(body.data, limits)
    if kind == "image/tiff" or (unknown and body.data.startswith(_TIFF_SIGNATURES)):
        return _tiff_uploads(body.data, limits)
    raise UnsupportedMediaType(
        f"a body of type {_shown(kind)} is not taken here; send a form with repeated fields 'files', "
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
        form = _FormReader(boundary, limits)
        await _receive_pieces(request.receive, limit, ticket, form.take)
        return Body(kind, b"", form.finish())
    pieces: list[bytes] = []
    await _receive_pieces(request.receive, limit, ticket, pieces.append)
    # Most bodies come in one piece, which join hands on as it is.
    data = b"".join(pieces)
    if kind == _FORM:
        return Body(kind, b"", _parse_form(data, boundary, limits))
    if not data:
        raise InvalidRequest("the body is empty; send a picture")
    return Body(kind, data)


async def _receive_pieces(receive: Receive, limit: int, ticket: Ticket, take: Callable[[bytes], object]) -> None:
    """Let `take` have the pieces of a body as they come, as long as they come at the least pace."""
    total = 0
    started = time.monotonic()
    # Most bodies are there already when they are asked for; only what comes after the first piece is timed.
    message = await receive()
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
    patience = started + _PATIENCE_SECONDS + total / _MIN_BYTES_PER_SECOND - time.monotonic()
    slow = asyncio.get_running_loop().call_later(_PROMPT_SECONDS, ticket.wait_for_body)
    try:
        async with asyncio.timeout(patience):
            return await receive()
    except TimeoutError as exc:
        raise DeadlineExceeded(f"after {total} bytes the body comes too slowly") from exc
    finally:
        slow.cancel()


def _parse_form(data: bytes, boundary: bytes, limits: Limits) -> tuple[Part, ...]:
    """The parts of a whole form; raises what `_FormReader` raises."""
    parts = _split_form(data, boundary, limits) if boundary else None
    if parts is not None:
        return parts
    form = _FormReader(boundary, limits)
    form.take(data)
    return form.finish()


def _split_form(data: bytes, boundary: bytes, limits: Limits) -> tuple[Part, ...] | None:
    """The parts of a form as nearly all programs write it; None where only the parser can tell what is meant."""
    opening, *pieces = (b"\r\n" + data).split(b"\r\n--" + boundary)
    if opening or len(pieces) < 2 or len(pieces) > _MAX_FORM_PARTS or pieces.pop() not in (b"--", b"--\r\n"):
        return None
    parts = []
    for piece in pieces:
        head, blank_line, content = piece.partition(b"\r\n\r\n")
        named = _DISPOSITION.fullmatch(_disposition(head)) if blank_line else None
        if named is None or len(content) > limits.image_bytes:
            return None
        parts.append(_part(named[1], named[2], content))
    return None if sum(part.field == "files" for part in parts) > limits.batch_items else tuple(parts)


def _disposition(head: bytes) -> bytes:
    """The value of a part's `Content-Disposition`; empty where its headers are not of the usual form."""
    first, *lines = head.split(b"\r\n")
    headers = [_PART_HEADER.fullmatch(line) for line in lines[:_MAX_PART_HEADERS]]
    if first or len(lines) > _MAX_PART_HEADERS or None in headers:
        return b""
    found = [header[2] for header in headers if header and header[1].lower() == b"content-disposition"]
    return found[0] if len(found) == 1 else b""


def _part(name: bytes, filename: bytes | None, data: bytes | ServiceError) -> Part:
    return Part(
        field=name.decode("utf-8", "replace"),
        filename=None if filename is None else filename.decode("utf-8", "replace"),
        data=data,
    )


class _FormReader:
    """Collects the parts of one form; parts over the limits are dropped while they arrive."""

    def __init__(self, boundary: bytes, limits: Limits) -> None:
        if not boundary:
            raise InvalidRequest("the form's content type names no boundary")
        self.parts: list[Part] = []
        self.ended = False
        self._limits = limits
        self._name, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._data = bytearray()
        self._size = self._files = 0
        callbacks: Any = {
            "on_part_begin": self._part_begin,
            "on_header_field": lambda data, start, end: self._name.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._header_end,
            "on_part_data": self._part_data,
            "on_part_end": self._part_end,
            "on_end": self._end,
        }
        try:
            self._parser = MultipartParser(boundary, callbacks)
        except FormParserError as exc:
            raise InvalidRequest("the form's boundary is too long") from exc

    def take(self, data: bytes) -> None:
        """Read on.

        Raises:
            InvalidRequest: this is no form.
            TooLarge: more parts, or more of them pictures, than allowed.
        """
        try:
            self._parser.write(data)
        except FormParserError as exc:
            raise InvalidRequest("the form is malformed or ends too early") from exc

    def finish(self) -> tuple[Part, ...]:
        """The parts; raises `InvalidRequest` where the form is not at its end."""
        try:
            self._parser.finalize()
        except FormParserError as exc:
            raise InvalidRequest("the form is malformed or ends too early") from exc
        if not self.ended:
            raise InvalidRequest("the form is malformed or ends too early")
        return tuple(self.parts)

    def _part_begin(self) -> None:
        if len(self.parts) == _MAX_FORM_PARTS:
            raise TooLarge(f"the form has more than {_MAX_FORM_PARTS} parts")
        self._disposition, self._size = b"", 0
        self._data = bytearray()

    def _header_end(self) -> None:
        if self._name.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._name.clear()
        self._value.clear()

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        self._size += end - start
        if self._size <= self._limits.image_bytes:
            self._data += data[start:end]
        else:
            self._data.clear()

    def _part_end(self) -> None:
        data = bytes(self._data) if self._size <= self._limits.image_bytes else _too_long(self._limits)
        _, parameters = parse_options_header(self._disposition)
        self.parts.append(_part(parameters.get(b"name", b""), parameters.get(b"filename"), data))
        self._files += self.parts[-1].field == "files"
        if self._files > self._limits.batch_items:
            raise _too_many(self._limits)

    def _end(self) -> None:
        self.ended = True


# --- taking apart ------------------------------------------------------------------------------------------------


def _file_part(parts: tuple[Part, ...]) -> bytes:
    found = [part for part in parts if part.field == "file"]
    if not found:
        names = ", ".join(sorted({_shown(part.field) for part in parts})) or "none"
        raise InvalidRequest(f"the form has no field 'file'; its fields are: {names}")
    if len(found) > 1:
        raise InvalidRequest(f"the form has {len(found)} fields 'file'; send several pictures to /predict/batch")
    if isinstance(found[0].data, ServiceError):
        raise found[0].data
    return found[0].data


def _form_uploads(parts: tuple[Part, ...]) -> Iterator[Upload]:
    files = [part for part in parts if part.field == "files"]
    if not files:
        names = ", ".join(sorted({_shown(part.field) for part in parts})) or "none"
        raise InvalidRequest(f"the form has no field 'files'; its fields are: {names}")
    for index, part in enumerate(files):
        source = part.data or InvalidRequest("the part is empty; send a picture")
        yield Upload(part.filename or f"file-{index + 1}", source)


def _json_uploads(data: bytes, limits: Limits) -> Iterator[Upload]:
    entries = _member(_parse_object(data), "images")
    if not isinstance(entries, list):
        raise InvalidRequest("the member 'images' must be a list of objects with the member 'image'")
    if len(entries) > limits.batch_items:
        raise _too_many(limits)
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
        return Upload(identity, _limited(_decode_base64(_member(entry, "image")), limits.image_bytes), options)
    except ServiceError as error:
        return Upload(identity, error)


def _tiff_uploads(data: bytes, limits: Limits) -> Iterator[Upload]:
    for page in images.pages(data, max_pages=limits.batch_items):
        yield Upload(f"page-{page.index + 1}", page)


def _zip_uploads(data: bytes, limits: Limits) -> Iterator[Upload]:
    with _open_zip(data, limits) as archive:
        members = [info for info in archive.infolist() if not _is_archivers_own(info)]
        if len(members) > limits.batch_items:
            raise _too_many(limits)
        unpacked = sum(info.file_size for info in members)
        if unpacked > limits.unpacked_bytes:
            raise _unpacks_too_large(limits)
        left = limits.unpacked_bytes
        for info in members:
            source = _read_member(archive, info, limits, left)
            left -= len(source) if isinstance(source, bytes) else 0
            yield Upload(info.filename, source)


def _open_zip(data: bytes, limits: Limits) -> zipfile.ZipFile:
    """Open an archive whose table of contents is small enough to be read into memory."""
    end = data.rfind(_END_OF_CENTRAL_DIRECTORY, max(0, len(data) - 65_557))
    if end < 0 or len(data) < end + 22:
        raise InvalidRequest("the body is not a zip archive, or it is truncated")
    entries, size = struct.unpack_from("<HI", data, end + 10)
    # Both fields are at their maximum only in archives beyond 65,535 members or 4 GiB.
    if size > _MAX_CENTRAL_DIRECTORY or entries > 4 * limits.batch_items + 100:
        raise _too_many(limits)
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, UnicodeDecodeError) as exc:
        raise InvalidRequest("the body is not a zip archive, or it is truncated or corrupt") from exc


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, left: int) -> bytes | ServiceError:
    parts = info.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        return InvalidRequest("the member's name points out of the archive")
    if info.flag_bits & 0x1:
        return InvalidRequest("the member is encrypted")
    if info.file_size > limits.image_bytes:
        return _too_long(limits)
    try:
        with archive.open(info) as member:
            # The declared size may lie; what is read counts.
            data = member.read(min(limits.image_bytes, left) + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        return InvalidRequest("the member is corrupt, or packed with a method that is not supported")
    if len(data) > left:
        raise _unpacks_too_large(limits)
    if len(data) > limits.image_bytes:
        return _too_long(limits)
    return data or InvalidRequest("the member is empty; send a picture")


def _is_archivers_own(info: zipfile.ZipInfo) -> bool:
    # Not `info.is_dir()`, which in Python 3.11 looks for the last letter of a name that has none.
    return info.filename.startswith("__MACOSX/") or info.filename.endswith(("/", *_ARCHIVER_FILES))


def _parse_object(data: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(data)
    except orjson.JSONDecodeError as exc:
        raise InvalidRequest(f"the body is not valid JSON: line {exc.lineno}, column {exc.colno}") from exc
    if not isinstance(parsed, dict):
        raise InvalidRequest("the JSON body must be an object")
    return parsed


def _member(parsed: dict[str, Any], name: str) -> Any:
    if name not in parsed:
        names = ", ".join(_shown(key) for key in list(parsed)[:10]) or "none"
        raise InvalidRequest(f"the JSON has no member '{name}'; its members are: {names}")
    return parsed[name]


def _decode_base64(value: Any) -> bytes:
    """Bytes of a base64 string or `data:` URL; line breaks, as many encoders add them, are allowed."""
    if not isinstance(value, str):
        raise InvalidRequest("the member 'image' must be a string: base64, or a data: URL")
    if value.startswith("data:"):
        head, separator, value = value.partition(",")
        if not separator or not head.endswith(";base64"):
            raise InvalidRequest("the data: URL in 'image' must be of the form data:<type>;base64,<data>")
    try:
        data = base64.b64decode("".join(value.split()), validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidRequest("the member 'image' is not valid base64") from exc
    if not data:
        raise InvalidRequest("the member 'image' is empty; send a picture")
    return data


def _limited(data: bytes, limit: int) -> bytes:
    if len(data) > limit:
        raise TooLarge(f"the picture has {len(data)} bytes; at most {limit} are allowed")
    return data


def _too_long(limits: Limits) -> TooLarge:
    return TooLarge(f"the picture has more than {limits.image_bytes} bytes; at most that many are allowed")


def _too_many(limits: Limits) -> TooLarge:
    return TooLarge(f"the batch has more than {limits.batch_items} items; at most that many are allowed")


def _unpacks_too_large(limits: Limits) -> TooLarge:
    return TooLarge(f"the archive unpacks to more than {limits.unpacked_bytes} bytes; at most that many are allowed")


def _shown(text: str) -> str:
    """A caller's text as it may stand in a message: short, printable, quoted."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
