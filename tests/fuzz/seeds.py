"""Inputs to begin with, made by code: one of each form and format, and what the hostile corpus has that is small."""

import base64
import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from tests import hostile, pictures
from tests.fuzz.targets import ROUTES

FOUND = Path(__file__).parent / "corpus"
MAX_BYTES = 4096
FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16")


def corpus(target: str) -> Iterator[tuple[str, bytes]]:
    """Name and bytes of every input of a target: the seeds, and what fuzzing found beyond them."""
    made = {"request": _requests, "decode": _pictures, "normalize": _pixels}[target]
    for index, data in enumerate(made()):
        yield f"seed {index}", data
    with zipfile.ZipFile(FOUND / f"{target}.zip") as archive:
        for name in archive.namelist():
            yield name, archive.read(name)


def pack(target: str, inputs: list[bytes]) -> None:
    """Keep inputs as the found ones of a target, named by content so that the same inputs make the same file."""
    FOUND.mkdir(exist_ok=True)
    with zipfile.ZipFile(FOUND / f"{target}.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, data in sorted((hashlib.sha1(data).hexdigest()[:12], data) for data in inputs):
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)


def _pictures() -> Iterator[bytes]:
    for kind in FORMATS:
        yield pictures.encode(pictures.draw(3, 24), kind)
    for mode in MODES:
        image = pictures.draw(5, 20)
        image = Image.new("I;16", image.size, 3000) if mode == "I;16" else image.convert(mode)
        yield pictures.encode(image, "TIFF" if mode in ("CMYK", "I;16") else "PNG")
    for compression in ("packbits", "tiff_lzw", "tiff_deflate", "jpeg", "group4"):
        image = pictures.draw(8, 24).convert("1") if compression == "group4" else pictures.draw(8, 24)
        yield pictures.encode(image, "TIFF", compression=compression)
    yield pictures.tiff([1, 2, 3], size=12)
    yield pictures.encode(pictures.draw(4, 16), "GIF", save_all=True, append_images=[pictures.draw(6, 16)])
    exif = Image.Exif()
    exif[0x0112] = 6
    yield pictures.encode(pictures.draw(2, 24), "JPEG", exif=exif, progressive=True)
    yield pictures.encode(pictures.draw(2, 24), "WEBP", lossless=True)
    for upload in hostile.small():
        if upload.path == "/predict" and not upload.headers and len(upload.body) <= MAX_BYTES:
            yield upload.body


def _pixels() -> Iterator[bytes]:
    for digit in range(10):
        image = pictures.draw(digit, 24 + digit)
        yield bytes((image.width - 1, image.height - 1, 0)) + image.tobytes()
    image = pictures.draw(7, 24, ink=(20, 30, 90), paper=(250, 240, 230))
    yield bytes((23, 23, 1)) + image.tobytes()
    for fill in (b"\0", b"\xff", b"\0\xff", b"\x80" * 50 + b"\0"):
        yield bytes((60, 50, 0)) + fill


def _requests() -> Iterator[bytes]:
    seven = pictures.encode(pictures.draw(7, 20))
    text = base64.b64encode(seven).decode()
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [text]}
    bodies = (
        seven,
        _form(("file", seven)),
        _json({"image": text}),
        _form(("files", seven), ("files", b"no picture")),
        _json({"images": [{"id": "a", "image": text}, {"id": 2, "image": f"data:image/png;base64,{text}"}]}),
        pictures.archive({"a.png": seven, "b/c.png": b"", "../d": seven}),
        pictures.tiff([1, 2], size=12),
        _json({"inputs": [tensor], "id": "x", "outputs": [{"name": "digit", "parameters": {"binary_data": True}}]}),
        _json({"inputs": [{"name": "image", "datatype": "UINT8", "shape": [1, 28, 28], "data": [0] * 784}]}),
    )
    for index, body in enumerate(bodies):
        yield bytes([min(index, len(ROUTES) - 1)]) + body
    for upload in hostile.small():
        kind = upload.headers.get("Content-Type", "").replace("boundary=x", "boundary=boundary")
        if (upload.path, kind) in ROUTES and len(upload.body) < MAX_BYTES:
            body = upload.body.replace(b"--x", b"--boundary") if "form" in kind else upload.body
            yield bytes([ROUTES.index((upload.path, kind))]) + body


def _form(*parts: tuple[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    for name, data in parts:
        buffer.write(f'--boundary\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode())
        buffer.write(data + b"\r\n")
    return buffer.getvalue() + b"--boundary--\r\n"


def _json(content: object) -> bytes:
    return json.dumps(content).encode()
