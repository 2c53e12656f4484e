"""Bytes -> one upright picture, in grey or RGB.

The bytes decide the format, never a header or a file name. Size is checked before a single pixel is decoded.
"""

import io
import math
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from PIL import Image, UnidentifiedImageError

from service.errors import InvalidImage, TooLarge

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP")
DEFAULT_MAX_PIXELS = 20_000_000
# What JPEG can hold; each row costs memory of its own, so a picture of a million rows is no small one.
MAX_SIDE = 65_535
LIGHT_BYTES = 64 * 1024
LIGHT_PIXELS = 512 * 512
# JPEGs decode at 1/2, 1/4 or 1/8 for a part of the cost; the shorter side keeps at least so many pixels. Pictures of
# other formats are reduced as much once they are decoded, a strip at a time, before anything else copies them, and
# very long ones to about so many pixels.
DRAFT_SIDE = 360
DRAFT_PIXELS = 2_000_000
STRIP_ROWS = 128
# WebP is decoded in whole by a library that holds the picture four times over, so less of it is allowed.
WEBP_SHARE = 0.5
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
_LYING = frozenset(_UPRIGHT[orientation] for orientation in (5, 6, 7, 8))

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


@dataclass(frozen=True)
class Upright:
    """A decoded picture, and the size that the upload has when it stands upright: (width, height) in pixels."""

    image: Image.Image
    size: tuple[int, int]


def decode(source: bytes | Page, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Image.Image:
    """The picture of `decode_upright`; raises what that raises."""
    return decode_upright(source, max_pixels=max_pixels).image


def decode_upright(source: bytes | Page, *, max_pixels: int = DEFAULT_MAX_PIXELS) -> Upright:
    """Decode an upload into an upright picture of mode "L" or "RGB".

    Transparency is laid over paper that the strokes stand out from; more than 8 bits are brought to 8; the EXIF
    orientation is applied. Of several frames or pages the first counts. Large pictures come at a reduced size, their
    shorter side at least DRAFT_SIDE pixels, very long ones at about DRAFT_PIXELS pixels.

    Raises:
        InvalidImage: not a picture of a listed format, or one that is truncated or corrupt.
        TooLarge: more than `max_pixels` pixels, or half as many in a WebP.
    """
    image = _seek(source) if isinstance(source, Page) else _open(source)
    _check_size(image, max_pixels)
    size = image.size
    try:
        if image.format == "JPEG":
            image.draft(image.mode, (DRAFT_SIDE, DRAFT_SIDE))
        image.load()
        turn = _turn(image)
        flat = _flatten(_reduce(image))
        if turn is None:
            return Upright(flat, size)
        return Upright(flat.transpose(turn), size[::-1] if turn in _LYING else size)
    except _BROKEN as exc:
        raise InvalidImage(f"the {image.format} data are truncated or corrupt") from exc


def is_light(data: bytes) -> bool:
    """Whether decoding takes so little time that an event loop may wait for it: told from a few bytes of the head.

    A PNG tells its size there. A JPEG packs at most some hundred pixels into a byte, and is scaled down while it is
    decoded. The other formats can hide a huge picture in few bytes.
    """
    if data.startswith(b"\x89PNG") and len(data) < LIGHT_BYTES:
        width, height = struct.unpack(">II", data[16:24].ljust(8, b"\0"))
        return bool(width * height <= LIGHT_PIXELS)
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
    if image.format == "WEBP":
        max_pixels = int(WEBP_SHARE * max_pixels)
    if width * height > max_pixels:
        of = " of a WebP" if image.format == "WEBP" else ""
        raise TooLarge(f"the picture is {width} x {height} pixels; at most {max_pixels} pixels{of} are allowed")
    if max(width, height) > MAX_SIDE:
        raise TooLarge(f"the picture is {width} x {height} pixels; a side may have at most {MAX_SIDE}")
    if width * height == 0:
        raise InvalidImage(f"the picture is {width} x {height} pixels; it has no pixel")


def _turn(image: Image.Image) -> Image.Transpose | None:
    try:
        return _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except _BROKEN:
        return None  # Broken metadata do not make the picture unreadable.


def _reduce(image: Image.Image) -> Image.Image:
    """A large picture at a fraction of its size, as JPEGs are decoded, in a mode that nothing of it is lost in."""
    width, height = image.size
    factor = max(min(width, height) // DRAFT_SIDE, math.isqrt(width * height // DRAFT_PIXELS))
    if factor < 2:
        return image
    mode = _reducible(image)
    reduced = Image.new(mode, (-(-width // factor), -(-height // factor)))
    rows = max(1, STRIP_ROWS // factor) * factor
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(top + rows, height)))
        reduced.paste(strip.convert(mode).reduce(factor), (0, top // factor))
    return reduced


def _reducible(image: Image.Image) -> str:
    """The mode, of those whose pixels can be averaged, that holds all of the picture."""
    if image.mode.startswith("I"):
        return "I"
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        return "RGBA"
    if image.mode in ("F", "L", "LAB"):
        return image.mode
    return "L" if image.mode == "1" else "RGB"


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
    samples = np.asarray(image)
    if samples.dtype.kind == "f":
        samples = np.nan_to_num(samples, posinf=0.0, neginf=0.0).clip(0)
        highest = float(samples.max())
        full = next((depth for depth in (1.0, 255.0, 65535.0) if highest <= depth), highest)
        return Image.fromarray((samples * np.float32(255.0 / full)).astype(np.uint8))
    # Shifted, since large pictures of 16 bits are common and wider numbers would take much memory.
    depth = next((depth for depth in (8, 10, 12, 16) if int(samples.max()) < 1 << depth), 31)
    return Image.fromarray((samples.clip(0) >> (depth - 8)).astype(np.uint8))


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
