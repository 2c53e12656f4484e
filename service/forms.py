"""Forms (`multipart/form-data`, RFC 7578) -> their parts: split as a whole in the usual form, else parsed piece by piece."""

import re
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import InvalidRequest, ServiceError, TooLarge
from service.limits import Limits

_MAX_PARTS = 1000

# Headers as nearly all programs write them, told without the parser's help.
_PART_HEADER = re.compile(rb"([A-Za-z-]{1,40}):([^\r\n\0]{0,1000})")
_DISPOSITION = re.compile(rb' ?form-data; name="([^"\\]*)"(?:; filename="([^"\\]*)")?')
_MAX_PART_HEADERS = 4


@dataclass(frozen=True)
class Part:
    """One part of a form."""

    field: str
    filename: str | None
    data: bytes | ServiceError


def parse_form(data: bytes, boundary: bytes, limits: Limits) -> tuple[Part, ...]:
    """The parts of a whole form; raises what `FormReader` raises."""
    parts = split_form(data, boundary, limits) if boundary else None
    if parts is not None:
        return parts
    form = FormReader(boundary, limits)
    form.take(data)
    return form.finish()


def split_form(data: bytes, boundary: bytes, limits: Limits) -> tuple[Part, ...] | None:
    """The parts of a form as nearly all programs write it; None where only the parser can tell what is meant."""
    opening, *pieces = (b"\r\n" + data).split(b"\r\n--" + boundary)
    if opening or len(pieces) < 2 or len(pieces) > _MAX_PARTS or pieces.pop() not in (b"--", b"--\r\n"):
        return None
    parts = []
    for piece in pieces:
        head, blank_line, content = piece.partition(b"\r\n\r\n")
        named = _DISPOSITION.fullmatch(_disposition(head)) if blank_line else None
        if named is None or len(content) > limits.image_bytes:
            return None
        parts.append(_part(named[1], named[2], content))
    return None if sum(part.field == "files" for part in parts) > limits.batch_items else tuple(parts)


class FormReader:
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
        if len(self.parts) == _MAX_PARTS:
            raise TooLarge(f"the form has more than {_MAX_PARTS} parts")
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
        data = bytes(self._data) if self._size <= self._limits.image_bytes else self._limits.too_long()
        _, parameters = parse_options_header(self._disposition)
        self.parts.append(_part(parameters.get(b"name", b""), parameters.get(b"filename"), data))
        self._files += self.parts[-1].field == "files"
        if self._files > self._limits.batch_items:
            raise self._limits.too_many()

    def _end(self) -> None:
        self.ended = True


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
