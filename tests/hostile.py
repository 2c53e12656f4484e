"""Uploads that mean harm or came to harm, made by code, each with the answer that the contract gives it."""

import base64
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from tests import pictures

OK, INVALID_REQUEST, TOO_LARGE, UNSUPPORTED, INVALID_IMAGE = 200, 400, 413, 415, 422
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
# Where the parts of a file begin: chunks, segments, extensions, the pixels behind a bitmap's headers.
_BLOCKS = {
    "PNG": re.compile(rb".{4}(?=IHDR|IDAT|IEND)", re.DOTALL),
    "JPEG": re.compile(rb"\xff[\xc0-\xfe]"),
    "BMP": re.compile(rb"(?<=^.{14})|(?<=^.{54})", re.DOTALL),
    "GIF": re.compile(rb"[!,]"),
    "TIFF": re.compile(rb"(?<=^.{8})", re.DOTALL),
    "WEBP": re.compile(rb"WEBP|VP8.", re.DOTALL),
}
ZIP = {"Content-Type": "application/zip"}
TIFF = {"Content-Type": "image/tiff"}


@dataclass(frozen=True)
class Upload:
    """A request body for a route, and the statuses that answer it rightly."""

    name: str
    body: bytes
    status: tuple[int, ...]
    path: str = "/predict"
    headers: dict[str, str] = field(default_factory=dict)


def corpus() -> Iterator[Upload]:
    yield from _broken_files()
    yield from _bombs()
    yield from _strange_shapes()
    yield from _polyglots()
    yield from _tiffs()
    yield from _archives()
    yield from _forms()
    yield from _json()


def small() -> Iterator[Upload]:
    """Those that are made in no time."""
    yield from _broken_files()
    yield from _polyglots()
    yield from _tiffs()
    yield from _forms()
    yield from _json()


def _broken_files() -> Iterator[Upload]:
    for kind in FORMATS:
        whole = pictures.encode(pictures.draw(7), kind)
        # Up to nine tenths; a picture cut in its last rows may be whole.
        for share in range(5, 95, 5):
            yield Upload(f"{kind} cut at {share}%", whole[: len(whole) * share // 100], (INVALID_IMAGE,))
        for at in sorted({found.start() for found in _BLOCKS[kind].finditer(whole, 1, len(whole) // 2)}):
            yield Upload(f"{kind} cut before the block at {at}", whole[:at], (INVALID_IMAGE,))
        noisy = bytearray(whole)
        for at in range(len(whole) // 3, len(whole) // 3 + 40):
            noisy[at] ^= 0xA5
        yield Upload(f"{kind} with 40 wrong bytes", bytes(noisy), (OK, INVALID_IMAGE))
        yield Upload(f"{kind} followed by rubbish", whole + b"\xff" * 5000, (OK,))
    yield Upload("PNG with a wrong checksum in its header", _flip(pictures.png(7), 30), (INVALID_IMAGE,))


def _bombs() -> Iterator[Upload]:
    yield Upload("PNG that promises 50,000 x 50,000", pictures.png_header(50_000, 50_000), (TOO_LARGE,))
    yield Upload("PNG that promises 2^31 x 2^31", pictures.png_header(2**31 - 1, 2**31 - 1), (TOO_LARGE, INVALID_IMAGE))
    yield Upload("PNG that promises 0 x 0", pictures.png_header(0, 0), (INVALID_IMAGE,))
    yield Upload("PNG of 400 million pixels in 400 kB", _flat_png(20_000, 20_000), (TOO_LARGE,))
    yield Upload("PNG of 20 million pixels in 20 kB", _flat_png(5_000, 4_000), (OK,))
    yield Upload("PNG of 20 million true-colour pixels", _flat_png(5_000, 4_000, channels=3), (OK,))
    yield Upload("PNG of 20 million 16-bit pixels", _flat_png(5_000, 4_000, depth=16), (OK,))
    yield Upload(
        "PNG with 30 MB of text", _with_chunk(pictures.png(7), b"zTXt", b"a\0\0" + _deflated(30)), (OK, INVALID_IMAGE)
    )
    yield Upload(
        "PNG with a colour profile of 60 MB",
        _with_chunk(pictures.png(7), b"iCCP", b"a\0\0" + _deflated(60)),
        (OK, INVALID_IMAGE),
    )
    jpeg = bytearray(pictures.encode(pictures.draw(7), "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_000, 65_000)
    yield Upload("JPEG that promises 65,000 x 65,000", bytes(jpeg), (TOO_LARGE,))
    gif = bytearray(pictures.encode(pictures.draw(7), "GIF"))
    gif[6:10] = struct.pack("<HH", 65_535, 65_535)
    yield Upload("GIF that promises 65,535 x 65,535", bytes(gif), (TOO_LARGE,))
    bmp = bytearray(pictures.encode(pictures.draw(7), "BMP"))
    bmp[18:26] = struct.pack("<ii", 60_000, 60_000)
    yield Upload("BMP that promises 60,000 x 60,000", bytes(bmp), (TOO_LARGE,))
    bmp[18:26] = struct.pack("<ii", -100, -100)
    tiff = pictures.encode(pictures.draw(7), "TIFF")
    for tag in (256, 257):
        tiff = _with_tag(tiff, tag, 60_000)
    yield Upload("TIFF that promises 60,000 x 60,000", tiff, (TOO_LARGE, INVALID_IMAGE))
    yield Upload("BMP of negative size", bytes(bmp), (TOO_LARGE, INVALID_IMAGE))
    webp = pictures.encode(Image.new("L", (2500, 2500), 240), "WEBP")
    yield Upload("WebP of 6 million pixels in a few bytes", webp, (OK,))
    frames = [Image.fromarray(np.full((20, 20), shade, np.uint8)) for shade in range(250)]
    yield Upload(
        "GIF of 250 frames", pictures.encode(pictures.draw(7), "GIF", save_all=True, append_images=frames), (OK,)
    )


def _strange_shapes() -> Iterator[Upload]:
    for width, height in ((1, 1), (2, 60_000), (60_000, 300), (28, 1), (3, 3)):
        yield Upload(f"PNG of {width} x {height}", _flat_png(width, height), (OK,))
    for width, height in ((1, 20_000_000), (20_000_000, 1), (1, 70_000)):
        yield Upload(f"PNG of {width} x {height}", _flat_png(width, height), (TOO_LARGE,))
    rng = np.random.default_rng(0)
    yield Upload("noise", pictures.encode(Image.fromarray(rng.integers(0, 256, (600, 600, 3), dtype=np.uint8))), (OK,))
    checkered = (np.indices((2000, 2000)).sum(axis=0) % 2 * 255).astype(np.uint8)
    yield Upload("four million specks", pictures.encode(Image.fromarray(checkered)), (OK,))
    lines = np.zeros((2000, 2000), np.uint8)
    lines[::3] = 255
    yield Upload("a thousand lines", pictures.encode(Image.fromarray(lines)), (OK,))
    yield Upload("all transparent", pictures.encode(Image.new("RGBA", (64, 64), (0, 0, 0, 0))), (OK,))
    yield Upload(
        "not a number",
        pictures.encode(Image.fromarray(np.full((40, 40), np.nan, np.float32)), "TIFF"),
        (OK, INVALID_IMAGE),
    )


def _polyglots() -> Iterator[Upload]:
    seven = pictures.png(7)
    yield Upload("a PNG that is a zip archive as well", seven + pictures.archive({"a": b"b"}), (OK,))
    yield Upload("a GIF that is a script as well", pictures.encode(pictures.draw(7), "GIF") + b"/*</script>*/", (OK,))
    for name, head in {
        "PDF": b"%PDF-1.7\n",
        "SVG": b'<svg xmlns="http://www.w3.org/2000/svg">',
        "HTML": b"<!doctype html><script>",
        "HEIC": b"\0\0\0\x18ftypheic",
        "ICO": b"\0\0\1\0\1\0\x10\x10",
        "PSD": b"8BPS\0\1",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        "PPM": b"P6 9 9 255\n" + b"a" * 243,
        "ELF": b"\x7fELF\2\1\1",
        "zeros": b"\0" * 100_000,
    }.items():
        yield Upload(f"{name} as a picture", head + b" " * 500, (INVALID_IMAGE,))


def _tiffs() -> Iterator[Upload]:
    page = pictures.encode(pictures.draw(7), "TIFF")
    first = struct.unpack("<I", page[4:8])[0]
    entries = struct.unpack("<H", page[first : first + 2])[0]
    next_at = first + 2 + 12 * entries
    loop = page[:next_at] + struct.pack("<I", first) + page[next_at + 4 :]
    yield Upload("a TIFF whose first page follows itself", loop, (OK,))
    yield Upload("a TIFF loop as a batch", loop, (OK, TOO_LARGE, INVALID_IMAGE), "/predict/batch", TIFF)
    outside = page[:next_at] + struct.pack("<I", 2**31) + page[next_at + 4 :]
    yield Upload("a TIFF whose next page lies outside", outside, (OK, INVALID_IMAGE), "/predict/batch", TIFF)
    yield Upload("a TIFF without a page", b"II*\0" + struct.pack("<I", 0), (INVALID_IMAGE,))
    yield Upload("a TIFF whose directory lies outside", b"II*\0" + struct.pack("<I", 2**31), (INVALID_IMAGE,))
    packed = pictures.encode(pictures.draw(7), "TIFF", compression="tiff_deflate")
    corrupt = packed[:8] + b"\xff" * 20 + packed[28:]
    yield Upload("a TIFF whose packed pixels are corrupt", corrupt, (INVALID_IMAGE,))
    many = b"II*\0" + struct.pack("<IH", 8, 65_535) + b"\xff" * 12 * 65_535
    yield Upload("a TIFF with 65,535 senseless tags", many, (INVALID_IMAGE,))
    yield Upload("a TIFF of 300 pages", pictures.tiff([1] * 300, size=8), (TOO_LARGE,), "/predict/batch", TIFF)


def _archives() -> Iterator[Upload]:
    def batch(name: str, body: bytes, *status: int) -> Upload:
        return Upload(f"zip: {name}", body, status, "/predict/batch", ZIP)

    seven = pictures.png(7)
    yield batch("names that leave it", pictures.archive({"../../etc/passwd": seven, "..\\x.png": seven}), OK)
    yield batch("an archive in an archive", pictures.archive({"a.zip": pictures.archive({"b.png": seven})}), OK)
    yield batch("forty archives in each other", _nested(40), OK)
    yield batch("10,000 members", pictures.archive({f"{i}.png": b"" for i in range(10_000)}), TOO_LARGE)
    yield batch("a member of 1 GB", _large_member(), TOO_LARGE)
    yield batch("members that share their bytes", _overlapping(200), OK, INVALID_REQUEST, TOO_LARGE)
    yield batch("a name of 65,000 letters", pictures.archive({"a" * 65_000: seven}), OK)
    yield batch("a member without a name", _nameless(seven), OK)
    yield batch("the same name twice", _twice(seven), OK)
    yield batch("cut in two", pictures.archive({"a.png": seven})[:200], INVALID_REQUEST)
    yield batch("only an end", b"PK\x05\x06" + b"\0" * 18, INVALID_REQUEST)
    yield batch(
        "an end that points outside",
        b"PK\x05\x06" + b"\0" * 4 + struct.pack("<HHIIH", 1, 1, 46, 2**31, 0),
        INVALID_REQUEST,
    )
    yield batch("an unknown packing", _packed_by(pictures.archive({"a.png": seven}), 97), OK, INVALID_REQUEST)
    yield batch("bzip2", pictures.archive({"a.png": seven}, zipfile.ZIP_BZIP2), OK)
    yield batch("lzma", pictures.archive({"a.png": seven}, zipfile.ZIP_LZMA), OK)


def _forms() -> Iterator[Upload]:
    def form(name: str, body: bytes, *status: int, boundary: str = "x", path: str = "/predict") -> Upload:
        headers = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        return Upload(f"form: {name}", body, status, path, headers)

    part = b'--x\r\nContent-Disposition: form-data; name="%s"; filename="a"\r\n\r\n%s\r\n'
    many = b"".join(part % (b"f%d" % i, b"") for i in range(10_000)) + b"--x--\r\n"
    yield form("10,000 parts", many, TOO_LARGE)
    files = b"".join(part % (b"files", b"x") for i in range(300)) + b"--x--\r\n"
    yield form("300 files", files, TOO_LARGE, path="/predict/batch")
    yield form(
        "a part header of 200 kB",
        b"--x\r\nX-Long: " + b"a" * 200_000 + b"\r\n\r\n--x--\r\n",
        INVALID_REQUEST,
        TOO_LARGE,
    )
    yield form("10,000 headers in a part", b"--x\r\n" + b"A: b\r\n" * 10_000 + b"\r\n--x--\r\n", INVALID_REQUEST)
    yield form("a boundary of 5,000 letters", b"--" + b"b" * 5000, INVALID_REQUEST, boundary="b" * 5000)
    yield form("only line ends", b"\r\n" * 100_000, INVALID_REQUEST)
    yield form("no name", b"--x\r\nContent-Disposition: form-data\r\n\r\na\r\n--x--\r\n", INVALID_REQUEST)
    yield form("no end", part % (b"file", pictures.png(7)), INVALID_REQUEST)
    yield form("a name that is no text", part % (b"\xff\xfe", b"a") + b"--x--\r\n", INVALID_REQUEST)


def _json() -> Iterator[Upload]:
    def posted(name: str, body: bytes, *status: int, path: str = "/predict") -> Upload:
        return Upload(f"JSON: {name}", body, status, path, {"Content-Type": "application/json"})

    seven = base64.b64encode(pictures.png(7)).decode()
    yield posted("100,000 brackets", b"[" * 100_000, INVALID_REQUEST)
    yield posted("100,000 objects in each other", b'{"image":' * 100_000, INVALID_REQUEST)
    yield posted("no UTF-8", b'{"image": "\xff"}', INVALID_REQUEST)
    yield posted("half a surrogate", b'{"image": "\\ud800"}', INVALID_REQUEST)
    yield posted("not a number", b'{"image": NaN}', INVALID_REQUEST)
    yield posted("a million digits", b'{"image": ' + b"9" * 1_000_000 + b"}", INVALID_REQUEST)
    yield posted("the member twice", f'{{"image": "?", "image": "{seven}"}}'.encode(), OK)
    yield posted("letters that are none of base64", b'{"image": "%s"}' % "ä€".encode(), INVALID_REQUEST)
    yield posted("300 items", json.dumps({"images": [{"image": ""}] * 300}).encode(), TOO_LARGE, path="/predict/batch")
    yield posted(
        "100,000 senseless items", json.dumps({"images": [1] * 100_000}).encode(), TOO_LARGE, path="/predict/batch"
    )


# --- files made by hand ------------------------------------------------------------------------------------------


def _flip(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]


def _deflated(megabytes: int) -> bytes:
    return zlib.compress(b"a" * megabytes * 2**20, 9)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _with_chunk(png: bytes, kind: bytes, data: bytes) -> bytes:
    """A PNG with a further chunk behind its header."""
    return png[:33] + _chunk(kind, data) + png[33:]


def _flat_png(width: int, height: int, channels: int = 1, depth: int = 8) -> bytes:
    """A PNG of one shade; packs about a thousand pixels into a byte."""
    row = b"\0" + b"\xf0" * (width * channels * depth // 8)
    packer = zlib.compressobj(9)
    step = max(1, 2**20 // len(row))
    packed = b"".join(packer.compress(row * min(step, height - start)) for start in range(0, height, step))
    header = struct.pack(">IIBBBBB", width, height, depth, {1: 0, 3: 2}[channels], 0, 0, 0)
    pixels = _chunk(b"IDAT", packed + packer.flush())
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", header) + pixels + _chunk(b"IEND", b"")


def _with_tag(tiff: bytes, tag: int, value: int) -> bytes:
    """A little-endian TIFF whose first page says something else in a tag."""
    first = struct.unpack("<I", tiff[4:8])[0]
    entries = range(first + 2, first + 2 + 12 * struct.unpack("<H", tiff[first : first + 2])[0], 12)
    at = next(at for at in entries if struct.unpack("<H", tiff[at : at + 2])[0] == tag)
    return tiff[: at + 2] + struct.pack("<HII", 4, 1, value) + tiff[at + 12 :]


def _nested(levels: int) -> bytes:
    archive = pictures.archive({"a.png": pictures.png(7)})
    for _ in range(levels):
        archive = pictures.archive({"a.zip": archive})
    return archive


def _large_member() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file, file.open("a.png", "w") as member:
        for _ in range(1024):
            member.write(b"\0" * 2**20)
    return buffer.getvalue()


def _overlapping(members: int) -> bytes:
    """Many entries of the table of contents that all point to one packed member of 300 kB."""
    whole = pictures.archive({"a.png": b"\0" * 300_000})
    start, end = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    directory = whole[start:end] * members
    tail = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, members, members, len(directory), start, 0)
    return whole[:start] + directory + tail


def _nameless(data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(zipfile.ZipInfo(""), data)
    return buffer.getvalue()


def _twice(data: bytes) -> bytes:
    single = pictures.archive({"a.png": data, "b.png": data})
    return single.replace(b"b.png", b"a.png")


def _packed_by(archive: bytes, method: int) -> bytes:
    at = archive.index(b"PK\x01\x02") + 10
    changed = archive[:at] + struct.pack("<H", method) + archive[at + 2 :]
    return changed[:8] + struct.pack("<H", method) + changed[10:]
