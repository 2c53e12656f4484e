"""Bytes -> one upright picture, in grey or RGB.

The bytes decide the format, never a header or a file name. Size is checked before a single pixel is decoded.
"""

import io
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from service.errors import InvalidImage, TooLarge

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
DEFAULT_MAX_PIXELS = 20_000_000
_LIGHT_PIXELS = 512 * 512
LIGHT_BYTES = 64 * 1024
# JPEGs decode at 1/2, 1/4 or 1/8 for a part of the cost; the shorter side keeps at least so many pixels.
DRAFT_SIDE = 360
# Alpha from which on a pixel is seen, and the share of such pixels that makes a picture rather than bare strokes.
OPAQUE = 128
MOSTLY_OPAQUE = 0.5

_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# Our own limit is checked on the header; Pillow's would only warn at half of its own.
Image.MAX_IMAGE_PIXELS = None
# Pillow warns of oddities in files of strangers. What matters of them is an error, and the caller's, not the log's.
warnings.filterwarnings("ignore", module=r"PIL\.")

# What Pillow raises on hostile or broken files. Anything else is our fault and must be seen as such.
_BROKEN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    SyntaxError,
    TypeError,
    ValueError,
    UserWarning,
    struct.error,
)


@dataclass(frozen=True)
class Page:
    """One page of an opened multi-page picture, decoded only when it is read."""

    image: Image.Image
    index: int


def decode(source: bytes | Page, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """Decode an upload into an upright picture of mode "L" or "RGB".

    Transparency is laid over paper that the strokes stand out from; more than 8 bits are brought to 8; the EXIF
    orientation is applied. Of several frames or pages the first counts. Large JPEGs come at a reduced size, their
    shorter side at least DRAFT_SIDE pixels.

    Raises:
        InvalidImage: not a picture of a listed format, or one that is truncated or corrupt.
        TooLarge: more than `max_pixels` pixels.
    """
    image = _seek(source) if isinstance(source, Page) else _open(source)
    _check_size(image, max_pixels)
    try:
        if image.format == "JPEG":
            image.draft(image.mode, (DRAFT_SIDE, DRAFT_SIDE))
        image.load()
        return _flatten(_turn_upright(image))
    except _BROKEN as exc:
        raise InvalidImage(f"the {image.format} data are truncated or corrupt") from exc


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
                f"page {index + 1} of the TIFF cannot be found: the file is truncated or corrupt"
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


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return image  # Broken metadata do not make the picture unreadable.
    return image if turn is None else image.transpose(turn)


def _flatten(image: Image.Image) -> Image.Image:
    """Any mode to "L" or "RGB", 8 bit, opaque. What is returned shares nothing with an opened file."""
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return _over_paper(image.convert("RGBA")) if not image.mode.startswith("I") else _to_8_bit(image)
    if image.mode.startswith(("I", "F")):
        return _to_8_bit(image)
    if image.mode == "LAB":
        return image.getchannel(0)
    if image.mode in ("L", "1"):
        return image.convert("L")
    return image.convert("RGB")


def _to_8_bit(image: Image.Image) -> Image.Image:
    """Samples of 10, 12, 16 or 32 bits, or fractions up to 1, to 8 bits: by the depth that their largest one needs.

    Not by their own range: that would make ink of the grain of a blank paper.
    """
    samples = np.nan_to_num(np.asarray(image, dtype=np.float64), posinf=0.0, neginf=0.0).clip(0)
    highest = float(samples.max())
    depths = (1.0, 255.0, 1023.0, 4095.0, 65535.0)
    full = next((depth for depth in depths if highest <= depth), highest)
    if image.mode != "F" and full == 1.0:
        full = 255.0
    return Image.fromarray((samples * (255.0 / full)).astype(np.uint8))


def _over_paper(image: Image.Image) -> Image.Image:
    """Lay a picture of mode "RGBA" over paper: that of its own where it has one, else one that its strokes show on."""
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return image.convert("RGB")
    seen = np.asarray(alpha) >= OPAQUE
    grey = np.asarray(image.convert("RGB").convert("L"))[seen]
    shows_on_white = not len(grey) or grey.mean() <= 127
    paper = int(np.median(grey)) if seen.mean() > MOSTLY_OPAQUE else 255 * shows_on_white
    return Image.alpha_composite(Image.new("RGBA", image.size, (paper, paper, paper, 255)), image).convert("RGB")
