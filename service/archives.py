"""Zip archives -> their members, none of which is trusted: not its name, not its size, not the number of them."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from service.errors import InvalidRequest, ServiceError
from service.limits import Limits

_END_OF_CENTRAL_DIRECTORY = b"PK\x05\x06"
# A name of 65,535 bytes for each of the allowed members would be absurd; this leaves 4 KiB for each of 256.
_MAX_CENTRAL_DIRECTORY = 2**20

# What archivers add on their own account.
_ARCHIVER_FILES = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


def members(data: bytes, limits: Limits) -> Iterator[tuple[str, bytes | ServiceError]]:
    """Name and bytes of each picture of an archive, in its order; of a bad one the error.

    Raises:
        InvalidRequest: it is no archive.
        TooLarge: more members, or more bytes in all, than allowed.
    """
    with _open(data, limits) as archive:
        pictures = [info for info in archive.infolist() if not _is_archivers_own(info)]
        if len(pictures) > limits.batch_items:
            raise limits.too_many()
        unpacked = sum(info.file_size for info in pictures)
        if unpacked > limits.unpacked_bytes:
            raise limits.unpacks_too_large()
        left = limits.unpacked_bytes
        for info in pictures:
            source = _read(archive, info, limits, left)
            left -= len(source) if isinstance(source, bytes) else 0
            yield info.filename, source


def _open(data: bytes, limits: Limits) -> zipfile.ZipFile:
    """Open an archive whose table of contents is small enough to be read into memory."""
    end = data.rfind(_END_OF_CENTRAL_DIRECTORY, max(0, len(data) - 65_557))
    if end < 0 or len(data) < end + 22:
        raise InvalidRequest("the body is not a zip archive, or it is truncated")
    entries, size = struct.unpack_from("<HI", data, end + 10)
    # Both fields are at their maximum only in archives beyond 65,535 members or 4 GiB.
    if size > _MAX_CENTRAL_DIRECTORY or entries > 4 * limits.batch_items + 100:
        raise limits.too_many()
    try:
        return zipfile.ZipFile(io.BytesIO(data))
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError, UnicodeDecodeError) as exc:
        raise InvalidRequest("the body is not a zip archive, or it is truncated or corrupt") from exc


def _read(archive: zipfile.ZipFile, info: zipfile.ZipInfo, limits: Limits, left: int) -> bytes | ServiceError:
    parts = info.filename.replace("\\", "/").split("/")
    if ".." in parts or parts[0] == "" or ":" in parts[0]:
        return InvalidRequest("the member's name points out of the archive")
    if info.flag_bits & 0x1:
        return InvalidRequest("the member is encrypted")
    if info.file_size > limits.image_bytes:
        return limits.too_long()
    try:
        with archive.open(info) as member:
            # The declared size may lie; what is read counts.
            data = member.read(min(limits.image_bytes, left) + 1)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError, ValueError, zlib.error):
        return InvalidRequest("the member is corrupt, or packed with a method that is not supported")
    if len(data) > left:
        raise limits.unpacks_too_large()
    if len(data) > limits.image_bytes:
        return limits.too_long()
    return data or InvalidRequest("the member is empty; send a picture")


def _is_archivers_own(info: zipfile.ZipInfo) -> bool:
    # Not `info.is_dir()`, which in Python 3.11 looks for the last letter of a name that has none.
    return info.filename.startswith("__MACOSX/") or info.filename.endswith(("/", *_ARCHIVER_FILES))
