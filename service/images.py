"""Bytes -> one upright picture, in grey or RGB.

The bytes decide the format, never a header or a file name. Size is checked before a single pixel is decoded.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from service.errors import InvalidImage, TooLarge

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
DEFAULT_MAX_PIXELS = 20_000_000
_LIGHT_PIXELS = 512 * 512
LIGHT_BYTES = 64 * 1024

# Our own limit is checked on the header; Pillow's warning at half of its limit would only be noise.
Image.MAX_IMAGE_PIXELS = None

# What Pillow raises on hostile or broken files. Anything else is our fault and must be seen as such.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    TypeError,
    struct.error,
    ZeroDivisionError,
    MemoryError,
)


@dataclass(frozen=True)
class Page:
    """One page of an opened multi-page picture, decoded only when it is read."""

    image: Image.Image
    index: int


def decode(source: bytes | Page, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Decode an upload into an upright picture of mode "L" or "RGB".

    Transparency is laid over white, or over black where the visible part is light; 16-bit samples are scaled to
    8 bit by their own range; the EXIF orientation is applied. The first frame or page counts.

    Raises:
        InvalidImage: not a picture of a listed format, or one that is truncated or corrupt.
        TooLarge: more than `max_pixels` pixels.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        image = _open(source) if isinstance(source, bytes) else _seek(source)
        _check_size(image, max_pixels)
        try:
            image.load()
            return _flatten(ImageOps.exif_transpose(image))
        except _BROKEN as exc:
            raise InvalidImage(f"the {image.format} data is truncated or corrupt") from exc


def is_light(data: bytes) -> bool:
    """Whether decoding takes so little time that an event loop may wait for it: told from a few bytes of the head.

    A PNG tells its size there. A JPEG packs at most some hundred pixels into a byte, and is scaled down while it is
    decoded. The other formats can hide a huge picture in few bytes.
    """
    if data.startswith(b"\x89PNG") and len(data) < LIGHT_BYTES:
        width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
        return bool(width * height <= _LIGHT_PIXELS)
    return data.startswith(b"\xff\xd8") and len(data) < LIGHT_BYTES // 4


def pages(data: bytes, *, max_pages: int) -> Iterator[Page]:
    """The pages of a TIFF, in order, without decoding them.

    Raises:
        InvalidImage: not a TIFF, or no page can be found.
        TooLarge: more than `max_pages` pages.
    """
    image = _open(data, formats=("TIFF",))
    for index in range(max_pages + 1):
        try:
            image.seek(index)
        except EOFError:
            return
        except _BROKEN as exc:
            raise InvalidImage(
                f"page {index + 1} of the TIFF cannot be found; the file is truncated or corrupt"
            ) from exc
        if index == max_pages:
            raise TooLarge(f"the TIFF has more than {max_pages} pages; at most {max_pages} are allowed")
        yield Page(image, index)


def _open(data: bytes, formats: tuple[str, ...] = FORMATS) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=formats)
    except (UnidentifiedImageError, *_BROKEN) as exc:
        names = ", ".join(formats).replace("WEBP", "WebP")
        raise InvalidImage(f"the {len(data)} bytes are not a readable picture; allowed formats are {names}") from exc


def _seek(page: Page) -> Image.Image:
    try:
        page.image.seek(page.index)
    except _BROKEN as exc:
        raise InvalidImage(f"page {page.index + 1} of the TIFF is truncated or corrupt") from exc
    return page.image


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    if width * height > max_pixels:
        raise TooLarge(f"the picture is {width} x {height} pixels; at most {max_pixels} pixels are allowed")
    if width * height == 0:
        raise InvalidImage(f"the picture is {width} x {height} pixels; it has no pixel")


def _flatten(image: Image.Image) -> Image.Image:
    """Any mode to "L" or "RGB", 8 bit, opaque."""
    if image.mode in ("L", "RGB"):
        if "transparency" not in image.info:
            return image.copy() if isinstance(image.info.get("transparency"), bytes) else image
        image = image.convert("RGBA")
    if image.mode.startswith(("I", "F")):
        return _to_8_bit(image)
    if image.mode == "P":
        image = image.convert("RGBA" if "transparency" in image.info else "RGB")
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa"):
        return _over_paper(image.convert("RGBA"))
    if image.mode == "1":
        return image.convert("L")
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    low, high = image.getextrema()
    if not low < high:
        return Image.new("L", image.size, 255)
    scale = 255.0 / (high - low)
    return image.convert("F").point(lambda value: value * scale - low * scale).convert("L")


def _over_paper(image: Image.Image) -> Image.Image:
    """Lay a transparent picture over paper that its ink stands out from: white, or black under light ink."""
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB")
    histogram = image.convert("L").histogram(mask=alpha.point(lambda value: 255 * (value >= 128)))
    seen = sum(histogram)
    light = seen and sum(level * count for level, count in enumerate(histogram)) / seen > 127
    paper = Image.new("RGBA", image.size, (0, 0, 0, 255) if light else (255, 255, 255, 255))
    return Image.alpha_composite(paper, image).convert("RGB")
